// The uptime of a hub's machine: asked rarely, never further off than that, and a sleep is seen as soon as it is asked again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machineClock } from './machine-clock.ts';

test('the system is asked ten times a second at most, and the answer goes on in between', () => {
  let [elapsed_ms, slept_ms, asked] = [1000, 0, 0];
  const clock = machineClock(
    () => {
      asked++;
      return 50_000 + elapsed_ms + slept_ms;
    },
    () => elapsed_ms,
  );
  for (; elapsed_ms < 2000; elapsed_ms++) assert.equal(clock.uptime_ms!(), 50_000 + elapsed_ms);
  assert.equal(asked, 10);
  slept_ms = 60_000;
  elapsed_ms += 99;
  assert.equal(
    clock.uptime_ms!(),
    50_000 + elapsed_ms + 60_000,
    'since it was asked last more than a tenth has passed',
  );
  slept_ms = 120_000;
  elapsed_ms += 50;
  assert.equal(clock.uptime_ms!(), 50_000 + elapsed_ms + 60_000);
  elapsed_ms += 50;
  assert.equal(clock.uptime_ms!(), 50_000 + elapsed_ms + 120_000);
});

test('the machine that this runs on has been up for a while', () => {
  const clock = machineClock();
  const first_ms = clock.uptime_ms!();
  assert.ok(first_ms > 0 && clock.uptime_ms!() >= first_ms);
});
