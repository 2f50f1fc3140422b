// What a pool did in the last day, on a clock that the test turns: by ten minutes, bounded, and passed on to whoever counts as well.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FleetSchema, HISTORY_BUCKET_MS, HISTORY_BUCKETS } from '../../protocol/fleet.ts';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import { openPoolHistory } from './pool-history.ts';
import { NO_COUNTS } from './pool-metrics.ts';

function history() {
  const clock = handClock(12_345);
  const passed_on: string[] = [];
  const pool = { wanting: 0 };
  const { counts, day, uptime } = openPoolHistory(clock, {
    ...NO_COUNTS,
    answer: (how) => void passed_on.push(how),
    tokens: (count) => void passed_on.push(`${count}`),
    lease: (why) => void passed_on.push(why),
  });
  counts.watch({ ...ZERO, wanting: () => pool.wanting });
  return { clock, counts, day, uptime, passed_on, pool };
}
const none = (): number => 0;
const ZERO = { devices: none, answers: none, leases: none, judging: none, judging_bytes: none, paying: none };

test('each ten minutes have their tokens, whole answers, refusals for want of room, and the most that waited', () => {
  const { clock, counts, day, passed_on, pool } = history();
  assert.deepEqual(day(), { tokens: [0], answers: [0], no_room: [0], waiting: [0] });
  pool.wanting = 3;
  counts.lease('first');
  pool.wanting = 1;
  counts.tokens(5);
  counts.tokens(2);
  counts.answer('whole', 'a f32');
  counts.answer('left', 'a f32');
  clock.move(2 * HISTORY_BUCKET_MS);
  pool.wanting = 0;
  counts.answer('no-room', 'a f32');
  assert.deepEqual(day(), { tokens: [7, 0, 0], answers: [1, 0, 0], no_room: [0, 0, 1], waiting: [3, 0, 0] });
  assert.deepEqual(passed_on, ['first', '5', '2', 'whole', 'left', 'no-room']);
});

test('a day is kept and no more, however long the hub runs and however seldom something happens', () => {
  const { clock, counts, day } = history();
  for (let i = 0; i < 3 * HISTORY_BUCKETS; i++) {
    counts.tokens(i);
    clock.move(HISTORY_BUCKET_MS);
  }
  const { tokens } = day();
  assert.equal(tokens.length, HISTORY_BUCKETS);
  assert.deepEqual(tokens.slice(0, 2), [2 * HISTORY_BUCKETS + 1, 2 * HISTORY_BUCKETS + 2]);
  assert.equal(tokens.at(-1), 0, 'it has only begun');
  FleetSchema.parse({ devices: 0, answers: 0, rows: [], day: day() });
  clock.move(10 * HISTORY_BUCKETS * HISTORY_BUCKET_MS);
  assert.ok(day().tokens.every((count) => count === 0));
});

test('the uptime of a model is that of its last hundred answers, without what callers did', () => {
  const { counts, uptime } = history();
  for (const how of ['whole', 'left', 'no-credit', 'bad-input', 'no-room', 'interrupted']) counts.answer(how, 'a f32');
  assert.deepEqual([uptime('a f32'), uptime('b f32')], [[true, false, false], []]);
  for (let i = 0; i < 100; i++) counts.answer('whole', 'a f32');
  assert.deepEqual(
    uptime('a f32'),
    Array.from({ length: 100 }, () => true),
  );
  for (let i = 0; i < 512; i++) counts.answer('whole', `${i}`);
  assert.deepEqual(uptime('a f32'), [], 'a hub does not remember models without end');
});
