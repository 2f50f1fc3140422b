// Who repeats what: newcomers' work everybody, other work the first judge by its draw, and the rest when that one raises the alarm.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EventBody } from '../core/events.ts';
import { firstJudge } from '../core/judging.ts';
import { exampleView } from '../protocol/example-views.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import type { RunView } from '../protocol/messages.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { judgingDuties } from './judging-alarm.ts';
import { drawFor } from './judging-draw.ts';
import type { Seat } from './role.ts';

type SubmissionView = RunView['submissions'][number];
const HASH = 'b'.repeat(64);
const SEED = 'a'.repeat(64);

const [one, two] = [createIdentity(), createIdentity()];
const judges = [one.id, two.id].sort();
const first = firstJudge(SEED, HASH, judges) === one.id ? one : two;
const other = first === one ? two : one;

const submission = (id: string, more: Partial<SubmissionView> = {}): SubmissionView => ({
  ...{
    id,
    worker: HASH,
    runtime: 'native-cpu',
    consecutive_valid: 1000,
    work: HASH,
    size_bytes: 1,
    steps: 1,
    tokens: 1,
  },
  ...{ loss_micro: 1, draw_permille: null, alarm: false, judges, sealed: [], shown: [], ...more },
});
const viewOf = (...submissions: SubmissionView[]): RunView =>
  exampleView({ seed: SEED, reexecute_permille: 500, probation: 10, submissions });

function seatOf(identity: Identity) {
  const sent: EventBody[] = [];
  const clock = handClock();
  const submit = async (body: EventBody) => void sent.push(body);
  const seat = { run: HASH, identity, clock, submit } as unknown as Seat;
  const duties = judgingDuties(seat, (error) => assert.fail(String(error)));
  return { sent, clock, duties };
}

/** The id of a submission that the first judge draws, or does not draw. */
async function idWhere(drawn: boolean): Promise<string> {
  for (let i = 0; ; i++) {
    const id = i.toString(16).padStart(64, '0');
    if ((await drawFor(first, id)).permille < 500 === drawn) return id;
  }
}

describe('a judge', () => {
  test('repeats whatever a newcomer hands in, and announces nothing', async () => {
    for (const identity of [first, other]) {
      const { duties, sent } = seatOf(identity);
      const work = submission(HASH, { consecutive_valid: 9 });
      const { repeat, tell } = await duties.dutyFor(viewOf(work), work, 1000);
      await tell(false);
      assert.deepEqual([repeat, sent], [true, []]);
    }
  });

  test('that is the first announces its draw: at once where it does not repeat, else with what it found', async () => {
    for (const [drawn, accepted, alarm] of [
      [false, true, false],
      [false, false, false],
      [true, true, false],
      [true, false, true],
    ]) {
      const { duties, sent } = seatOf(first);
      const work = submission(await idWhere(drawn));
      const { repeat, tell } = await duties.dutyFor(viewOf(work), work, 1000);
      assert.equal(repeat, drawn);
      assert.equal(sent.length, drawn ? 0 : 1);
      await tell(accepted);
      assert.equal(sent.length, 1);
      assert.ok(sent[0].type === 'draw.announced' && sent[0].alarm === alarm && sent[0].submission === work.id);
    }
  });

  test('that is not the first waits for its word, and repeats when it raises the alarm', async () => {
    for (const alarm of [false, true]) {
      const { duties } = seatOf(other);
      const work = submission(HASH);
      const waiting = duties.dutyFor(viewOf(work), work, 1000);
      duties.glance(viewOf(submission('c'.repeat(64))));
      duties.glance(viewOf(submission(HASH, { draw_permille: 3, alarm })));
      assert.equal((await waiting).repeat, alarm);
    }
  });

  test('repeats where the first says nothing: withholding a draw helps nobody', async () => {
    const { duties, clock, sent } = seatOf(other);
    const work = submission(HASH);
    const waiting = duties.dutyFor(viewOf(work), work, 1000);
    clock.move(999);
    duties.glance(viewOf(work));
    await Promise.resolve();
    clock.move(1);
    const { repeat, tell } = await waiting;
    await tell(false);
    assert.deepEqual([repeat, sent], [true, []]);
  });

  test('judges first what others wait for, last what it must wait for itself', () => {
    const mine = submission('1'.repeat(64));
    const newcomer = submission('2'.repeat(64), { consecutive_valid: 0 });
    const announced = submission('3'.repeat(64), { draw_permille: 999 });
    const ids = (identity: Identity) =>
      seatOf(identity)
        .duties.inOrder(
          viewOf(),
          [newcomer, mine, announced].map((work) => ({ ...work, judges })),
        )
        .map(({ id }) => id[0]);
    assert.deepEqual(
      seatOf(first)
        .duties.inOrder(viewOf(mine), [newcomer, announced, mine])
        .map(({ id }) => id[0]),
      ['1', '2', '3'],
    );
    assert.deepEqual(ids(other), ['2', '3', '1']);
  });
});
