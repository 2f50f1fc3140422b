// A worker that is moved to another stage of the model in the middle of a round: what it did is dropped, and it begins with the new stage.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkSubmitted } from '../core/events/work-submitted.ts';
import type { AnyGame, Claim, Device, Round } from '../games/game.ts';
import { memoryDrawer } from '../games/memory-drawer.ts';
import { type Clock, systemClock } from '../protocol/clock.ts';
import { createIdentity } from '../protocol/identity.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { exampleView } from '../protocol/testing/example-views.ts';
import { checkSubmission } from './check-submission.ts';
import type { PeerNews, RoleContext } from './role.ts';
import { workerRole } from './worker.ts';

const HASH = 'a'.repeat(64);
const CLAIM: Claim = { work: Uint8Array.of(1), amount: 4, numbers: {} };
const view = exampleView({ run: HASH, phase: 'working', model: HASH, roster: [] });

/** One call of a game's `perform`: the round of its task, whether it was stopped, and a way to end it. */
interface Performing {
  readonly round: Round;
  readonly signal: AbortSignal;
  end(claim: Claim | null): void;
}

/** A worker in a game whose work the test ends; `answer` is what the hub says to what it hands in. */
function worker(answer: () => { event_id: string; index: number } = () => ({ event_id: HASH, index: 0 })) {
  const submitted: WorkSubmitted[] = [];
  const told: PeerNews[] = [];
  const queue: Performing[] = [];
  const waits_ms: number[] = [];
  const clock: Clock = {
    ...systemClock,
    elapsed_ms: () => 0,
    setTimeout(run, ms) {
      waits_ms.push(ms);
      return systemClock.setTimeout(run, ms);
    },
  };
  let came = (): void => {};
  const game = {
    task: (_params: unknown, round: Round) => round,
    perform: (round: Round, _device: Device, signal: AbortSignal) =>
      new Promise<Claim | null>((end) => {
        queue.push({ round, signal, end });
        came();
      }),
  } as unknown as AnyGame;
  const context = {
    ...{ run: HASH, identity: createIdentity(), game, params: null, clock },
    device: { drawer: memoryDrawer(), progress: async () => {} } as unknown as Device,
    blobs: { handOver: async () => ({ hash: HASH, enclosed: null }) } as unknown as RoleContext['blobs'],
    model: { follow: async () => null },
    submit: async (body: WorkSubmitted) => {
      submitted.push(body);
      return answer();
    },
    tell: (news: PeerNews) => void told.push(news),
    heldUp: (obstacle: unknown) => assert.equal(obstacle, null, 'nobody is called slow for having been moved'),
    progress: () => {},
    sample: () => {},
  } as unknown as RoleContext;
  const next = async (): Promise<Performing> => {
    while (queue.length === 0) {
      await new Promise<void>((resolve) => {
        came = resolve;
      });
    }
    return queue.shift()!;
  };
  return { role: workerRole(context), submitted, told, waits_ms, next, isIdle: () => queue.length === 0 };
}

test('its work is dropped and not handed in, and the task of the new stage is begun', async () => {
  const { role, submitted, next } = worker();
  const leaving = new AbortController().signal;
  const first = role.act({ ...view, stage: 0 }, leaving);
  const before = await next();
  assert.equal(before.round.stage, 0);
  role.onView({ ...view, stage: 0, roster: [[HASH, 1, false]] });
  assert.ok(!before.signal.aborted, 'that others come and go is nothing to it');
  role.onView({ ...view, stage: 1 });
  assert.ok(before.signal.aborted);
  before.end(CLAIM);
  await first;
  assert.deepEqual(submitted, []);
  const second = role.act({ ...view, stage: 1 }, leaving);
  const after = await next();
  assert.equal(after.round.stage, 1);
  after.end(CLAIM);
  await second;
  assert.deepEqual(
    submitted.map(({ stage }) => stage),
    [1],
  );
});

test('when its work of the round is in, it waits for the next round', async () => {
  const { role, submitted, next, isIdle } = worker();
  const leaving = new AbortController().signal;
  const first = role.act({ ...view, stage: 0 }, leaving);
  (await next()).end(CLAIM);
  await first;
  await role.act({ ...view, stage: 1 }, leaving);
  assert.ok(isIdle());
  assert.equal(submitted.length, 1);
});

test('work that was on its way is told to be of another stage, without blame, and the new stage is begun', async () => {
  const { role, told, next } = worker(() => {
    throw new PeerError('refused', 'expected work of stage 1, got work of stage 0', { refusal: 'wrong-stage' });
  });
  const leaving = new AbortController().signal;
  const first = role.act({ ...view, stage: 0 }, leaving);
  (await next()).end(CLAIM);
  await first;
  const [news] = told;
  assert.equal(news.type === 'refused' && news.code, 'wrong-stage');
  assert.match(news.type === 'refused' ? news.message : '', /nothing is held against it/);
  const second = role.act({ ...view, stage: 1 }, leaving);
  const after = await next();
  assert.equal(after.round.stage, 1);
  after.end(CLAIM);
  await second;
});

test('it is no slower for it: only work that came too late leaves more time for sending in the next round', async () => {
  for (const [refusal, reserve_ms] of [
    ['wrong-stage', 1000],
    ['wrong-round', 2000],
  ] as const) {
    const { role, waits_ms, next } = worker(() => {
      throw new PeerError('refused', 'no', { refusal });
    });
    for (const stage of [0, 1]) {
      const acting = role.act({ ...view, stage }, new AbortController().signal);
      (await next()).end(CLAIM);
      await acting;
    }
    assert.deepEqual(
      waits_ms.map((ms) => view.remaining_ms - ms),
      [1000, reserve_ms],
    );
  }
});

test('it begins nothing before the log has given it a stage', async () => {
  const { role, isIdle } = worker();
  await role.act(view, new AbortController().signal);
  assert.ok(isIdle());
});

test('who judges work is told its stage', async () => {
  const rounds: Round[] = [];
  const game = {
    task: (_params: unknown, round: Round) => void rounds.push(round),
    check: async () => ({}),
  } as unknown as AnyGame;
  const device = { fetchBlob: async () => Uint8Array.of(1) } as unknown as Device;
  const work = { id: HASH, worker: HASH, runtime: 'x', consecutive_valid: 0, bond_permille: 0, work: HASH };
  const more = { size_bytes: 1, amount: 1, numbers: {}, appealed: false, judges: [], sealed: [], shown: [] };
  const judging = { repeat_permille: 0, looks: true, place: 0, time_ms: 1 };
  for (const stage of [0, 2, undefined]) {
    const seen = { ...view, submissions: [], handed_in: [] };
    await checkSubmission({ game, params: null, device }, null, seen, { ...work, ...more, place: 0, stage }, judging);
  }
  assert.deepEqual(
    rounds.map((round) => round.stage),
    [0, 2, undefined],
  );
  assert.ok(!('stage' in rounds[2]));
});
