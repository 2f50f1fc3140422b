// What judges decided comes into the log as counts, once, of devices that it knows, and nothing is lost where the log cannot be written.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { AnswersJudged } from '../../core/events/answers-judged.ts';
import type { EventBody } from '../../core/events.ts';
import { ALICE, BOB, created, History, HUB, joined, name, OWNER, RUN } from '../../core/testing/example-history.ts';
import { type HandClock, handClock } from '../../protocol/testing/hand-clock.ts';
import { HubError } from '../errors.ts';
import { openVerdictCounts, VERDICT_LIMITS, type VerdictCounts } from './verdict-counts.ts';

let h: History;
let clock: HandClock;
let counts: VerdictCounts;
let written: AnswersJudged[];
let problems: unknown[];
let fails: boolean;

beforeEach(() => {
  h = new History();
  h.happen(OWNER, created(), RUN);
  h.happen(ALICE, joined());
  clock = handClock(1000);
  [written, problems, fails] = [[], [], false];
  counts = openVerdictCounts({
    ...{ state: h.state, clock },
    onError: (error) => problems.push(error),
    async write(body: () => EventBody) {
      if (fails) throw new Error('no log');
      written.push(body() as AnswersJudged);
      h.happen(HUB, body());
    },
  });
});
const rows = () => written.map(({ number, devices }) => [number, devices]);

test('every ten minutes, where there is something to write, and once', async () => {
  await clock.pass(VERDICT_LIMITS.every_ms);
  assert.deepEqual(written, []);
  for (const refused of [false, true, false]) counts.decided(ALICE, refused);
  await clock.pass(VERDICT_LIMITS.every_ms);
  await clock.pass(VERDICT_LIMITS.every_ms);
  assert.deepEqual(rows(), [[0, [[ALICE, 2, 1]]]]);
  counts.decided(ALICE, true);
  await clock.pass(VERDICT_LIMITS.every_ms);
  assert.deepEqual(rows()[1], [1, [[ALICE, 0, 1]]]);
  assert.deepEqual(h.state.judged.devices.get(ALICE), { accepted: 2, refused: 2 });
});

test('of devices that the log does not know, when it does', async () => {
  counts.decided(BOB, false);
  counts.decided(ALICE, false);
  await counts.write();
  h.happen(BOB, joined());
  await counts.write();
  assert.deepEqual(rows(), [[0, [[ALICE, 1, 0]]], [1, [[BOB, 1, 0]]]]); // biome-ignore format: one line
});

test('what could not be written is written later, together with what came since', async () => {
  counts.decided(ALICE, false);
  fails = true;
  await assert.rejects(counts.write(), /no log/);
  counts.decided(ALICE, true);
  await clock.pass(VERDICT_LIMITS.every_ms);
  assert.equal(problems.length, 1);
  fails = false;
  await counts.write();
  assert.deepEqual(rows(), [[0, [[ALICE, 1, 1]]]]);
});

test('what nobody has answered may be in the log: the same is asked again, and counted once', async () => {
  const outcomes: ('heard' | 'unheard' | 'refused' | 'done')[] = [];
  const asked: AnswersJudged[] = [];
  const doubted = openVerdictCounts({
    ...{ state: h.state, clock },
    onError: (error) => problems.push(error),
    async write(body: () => EventBody) {
      const now = body() as AnswersJudged;
      asked.push(now);
      const outcome = outcomes.shift();
      // Who leads knows an event that it has been asked for before.
      const isThere = h.state.judged.batches > now.number;
      if (outcome !== 'unheard' && outcome !== 'refused' && !isThere) h.happen(HUB, now);
      if (outcome === 'refused') throw new HubError('refused', 'its number is taken', { refusal: 'wrong-batch' });
      if (outcome !== 'done') throw new HubError('no-leader', 'nobody leads');
    },
  });
  const of = (who: string) => h.state.judged.devices.get(who);
  doubted.decided(ALICE, false);
  outcomes.push('heard');
  await assert.rejects(doubted.write(), { code: 'no-leader' });
  doubted.decided(ALICE, true);
  outcomes.push('unheard');
  await assert.rejects(doubted.write(), { code: 'no-leader' });
  outcomes.push('done', 'done');
  await clock.pass(VERDICT_LIMITS.again_ms);
  assert.deepEqual(asked.slice(1, 3), [asked[0], asked[0]]);
  assert.deepEqual(of(ALICE), { accepted: 1, refused: 1 });
  // Nobody has heard it, and another gateway has taken its number: it is counted anew.
  doubted.decided(ALICE, false);
  outcomes.push('unheard', 'refused', 'done');
  await assert.rejects(doubted.write(), { code: 'no-leader' });
  h.happen(HUB, { type: 'answers.judged', version: 1, number: 2, devices: [[ALICE, 0, 1]] });
  await doubted.write();
  assert.deepEqual(of(ALICE), { accepted: 2, refused: 2 });
  await doubted.close();
});

test('at the end, and nothing afterwards', async () => {
  counts.decided(ALICE, false);
  await counts.close();
  counts.decided(ALICE, false);
  await clock.pass(3 * VERDICT_LIMITS.every_ms);
  assert.deepEqual(rows(), [[0, [[ALICE, 1, 0]]]]);
});

test('of no more devices than may wait', async () => {
  for (let i = 0; i < VERDICT_LIMITS.devices; i++) counts.decided(i.toString(16).padStart(64, '0'), false);
  counts.decided(ALICE, false);
  for (let i = 0; i < VERDICT_LIMITS.devices; i++)
    counts.decided(name('9').slice(16) + i.toString(16).padStart(16, '0'), true);
  assert.equal(await counts.write(), null);
});
