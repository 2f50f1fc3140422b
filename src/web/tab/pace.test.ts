// Tests of what a tab notices about its own speed, on a clock that the test turns.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import { watchPace } from './pace.ts';
import { FIRST_STATE, sentenceOf, slowdownOf } from './state.ts';

const IN_SIGHT = { hidden: false, pauses: [], lag_ms: 0, duty_percent: 100 };

test('a hidden tab is throttled only when its steps are slower than they were in sight', async () => {
  const clock = handClock();
  const pace = watchPace(clock, () => {});
  let steps = 0;
  const work = async (count: number, step_ms: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      clock.move(step_ms);
      await pace.progress({ amount: ++steps * 100 });
    }
  };
  await work(60, 100);
  pace.look({ ...IN_SIGHT, hidden: true });
  await work(60, 110);
  assert.deepEqual(pace.slowdowns, []);
  await work(30, 1000);
  assert.match(pace.slowdowns.map(slowdownOf).join(), /^throttled to 1\d %, the tab is hidden$/);
  pace.look(IN_SIGHT);
  assert.deepEqual(pace.slowdowns, []);
  pace.close();
});

test('a busy page gets half of the time, until it answers again', async () => {
  const clock = handClock();
  let changes = 0;
  const pace = watchPace(clock, () => changes++);
  clock.move(100);
  await pace.progress({ amount: 10 });
  pace.look({ ...IN_SIGHT, lag_ms: 300 });
  pace.look({ ...IN_SIGHT, lag_ms: 120 }); // not yet well
  assert.deepEqual(
    pace.slowdowns.map(({ kind }) => kind),
    ['page-busy'],
  );
  clock.move(100);
  let rested = false;
  const resting = pace.progress({ amount: 20 }).then(() => {
    rested = true;
  });
  clock.move(90);
  await Promise.resolve();
  assert.equal(rested, false);
  clock.move(20);
  await resting;
  pace.look({ ...IN_SIGHT, lag_ms: 50 });
  assert.deepEqual([pace.slowdowns, changes], [[], 2]);
  pace.close();
});

test('a tab that stood still says for how long, and forgets it after a while', () => {
  const clock = handClock();
  const pace = watchPace(clock, () => {});
  clock.move(1000);
  assert.deepEqual(pace.slowdowns, []);
  clock.move(46_000);
  assert.deepEqual(pace.slowdowns, [{ kind: 'was-frozen', frozen_ms: 45_000 }]);
  for (let i = 0; i < 61; i++) clock.move(1000);
  assert.deepEqual(pace.slowdowns, []);
  pace.close();
});

test('the state in one line', () => {
  const runtime = { class: 'webgpu', threads: 1, why: '', measured: [] } as const;
  const run = { id: 'a', name: 'a run', unit: 'tokens', numbers: { work: [], verdict: [] } };
  const working = { ...FIRST_STATE, run, phase: 'working', amount_per_second: 3100.4, runtime } as const;
  assert.equal(sentenceOf(working), 'working · 3,100 tokens/s · WebGPU');
  assert.match(sentenceOf({ ...working, phase: 'handing-in' }), /^stopped: nothing computes/);
  const paused = { ...FIRST_STATE, phase: 'paused', pauses: ['battery-low', 'metered'] } as const;
  assert.equal(sentenceOf(paused), 'paused: the battery is low and this connection is metered');
});

test('a tab that may take a tenth of the time rests nine times as long as each step took, however long that is', async () => {
  const clock = handClock();
  const pace = watchPace(clock, () => {});
  pace.look({ ...IN_SIGHT, duty_percent: 10 });
  clock.move(2000);
  let over = false;
  const resting = pace.progress({ amount: 64 }).then(() => {
    over = true;
  });
  clock.move(17_999);
  await new Promise(setImmediate);
  assert.equal(over, false);
  clock.move(1);
  await resting;
  pace.look({ ...IN_SIGHT, duty_percent: 100 });
  await pace.progress({ amount: 128 });
  pace.close();
});

test('answers to callers rest as training does, and training waits for them without resting for it', async () => {
  const clock = handClock();
  const pace = watchPace(clock, () => {});
  pace.look({ ...IN_SIGHT, duty_percent: 25 });
  await pace.rested();
  clock.move(100);
  let rested = false;
  const resting = pace.answered().then(() => {
    rested = true;
  });
  clock.move(290);
  await Promise.resolve();
  assert.equal(rested, false);
  clock.move(20);
  await resting;

  await pace.progress({ amount: 0 });
  const answering = Promise.withResolvers<void>();
  const held = pace.progress({ amount: 0 }, () => answering.promise);
  clock.move(5000);
  answering.resolve();
  await held;
  clock.move(100);
  const next = pace.progress({ amount: 10 });
  clock.move(301); // three times 100 ms, and nothing for the 5000
  await next;
  pace.close();
});
