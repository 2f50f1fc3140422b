// A device computes for the part of the time that its owner lends, however long its steps are and whatever breaks off its rests.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fired, sleep } from '../protocol/clock.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { openRest, openThrottle } from './policy.ts';

for (const duty of [0.01, 0.1, 0.5]) {
  for (const step_ms of [1000, 30_000]) {
    test(`a duty of ${duty} is kept with steps of ${step_ms} ms`, async () => {
      const clock = handClock();
      const { progress, rested } = openThrottle(duty, clock);
      let worked_ms = 0;
      const work = async (): Promise<void> => {
        await rested();
        for (let step = 1; step <= 20; step++) {
          await sleep(clock, step_ms);
          worked_ms += step_ms;
          await progress({ amount: 1, numbers: { steps: step } });
        }
      };
      await clock.run(work());
      const measured = worked_ms / clock.elapsed_ms();
      assert.ok(Math.abs(measured / duty - 1) < 0.05, `${measured}`);
    });
  }
}

test('a duty of 0.01 is kept with steps of a second in rounds of six, which break off every rest', async () => {
  const clock = handClock();
  const { progress, rested } = openThrottle(0.01, clock);
  let worked_ms = 0;
  const round = async (): Promise<void> => {
    const over = new AbortController();
    clock.setTimeout(() => over.abort(), 6000);
    await Promise.race([rested(), fired(over.signal)]);
    for (let step = 1; !over.signal.aborted; step++) {
      await sleep(clock, 1000);
      worked_ms += 1000;
      await Promise.race([progress({ amount: 1, numbers: { steps: step } }), fired(over.signal)]);
    }
  };
  const rounds = async (): Promise<void> => {
    for (let i = 0; i < 500; i++) {
      await round();
      await sleep(clock, 500); // judging and merging: no work, and rest as well
    }
  };
  await clock.run(rounds());
  const measured = worked_ms / clock.elapsed_ms();
  assert.ok(Math.abs(measured / 0.01 - 1) < 0.05, `${measured}`);
});

test('time between rounds is no work', async () => {
  const clock = handClock();
  const { progress, rested } = openThrottle(0.5, clock);
  const work = async (): Promise<void> => {
    await sleep(clock, 100_000);
    await rested();
    await sleep(clock, 1000);
    await progress({ amount: 1, numbers: { steps: 1 } });
  };
  await clock.run(work());
  assert.equal(clock.elapsed_ms(), 102_000);
});

test('rest that is owed while it is being paid is waited for as well', async () => {
  const clock = handClock();
  const rest = openRest(clock);
  rest.owe(1000);
  clock.setTimeout(() => rest.owe(500), 900);
  await clock.run(rest.paid());
  assert.equal(clock.elapsed_ms(), 1500);
});

test('a halt holds back the next unit of work, and the time in it is neither work nor owed', async () => {
  const clock = handClock();
  const { progress, halt, go, away_ms } = openThrottle(0.5, clock);
  let went_on_ms = 0;
  const work = async (): Promise<void> => {
    await sleep(clock, 1000); // a unit, in whose middle the halt begins, that goes on in a process that is stopped
    await progress({ amount: 1, numbers: { steps: 1 } });
    went_on_ms = clock.elapsed_ms();
  };
  clock.setTimeout(halt, 400);
  clock.setTimeout(halt, 500); // once is enough
  clock.setTimeout(() => go(0.5), 60_400);
  await clock.run(work());
  assert.equal(went_on_ms, 60_400); // 400 ms of work, and the rest was over long before the halt was
  assert.equal(away_ms(), 60_000);
});

test('rest is owed for the work before a halt', async () => {
  const clock = handClock();
  const { progress, halt, go } = openThrottle(0.1, clock);
  await clock.pass(1000);
  halt();
  const going = progress({ amount: 1, numbers: { steps: 1 } });
  await clock.pass(2000);
  go(0.1);
  await clock.run(going);
  assert.equal(clock.elapsed_ms(), 10_000);
});

test('another part of the time counts from the next unit on, and a halt while it rests as well', async () => {
  const clock = handClock();
  const { progress, halt, go } = openThrottle(1, clock);
  const unit = async (): Promise<number> => {
    const before_ms = clock.elapsed_ms();
    await clock.pass(1000);
    await clock.run(progress({ amount: 1, numbers: { steps: 1 } }));
    return clock.elapsed_ms() - before_ms;
  };
  assert.equal(await unit(), 1000);
  go(0.25);
  assert.equal(await unit(), 4000);
  clock.setTimeout(halt, 2000);
  clock.setTimeout(() => go(1), 9000);
  assert.equal(await unit(), 9000);
  assert.equal(await unit(), 1000);
});

test('timers that come late take nothing from the time that it may compute, and a machine that slept gives none', async () => {
  const clock = handClock();
  let late_ms = 50;
  const { progress } = openThrottle(0.5, { ...clock, setTimeout: (act, ms) => clock.setTimeout(act, ms + late_ms) });
  const unit = async (): Promise<number> => {
    const before_ms = clock.elapsed_ms();
    await clock.pass(1000);
    await clock.run(progress({ amount: 1, numbers: {} }));
    return clock.elapsed_ms() - before_ms;
  };
  assert.deepEqual([await unit(), await unit(), await unit()], [2050, 2000, 2000]);
  late_ms = 3_600_000;
  await unit();
  late_ms = 0;
  assert.deepEqual([await unit(), await unit()], [1800, 2000]);
});
