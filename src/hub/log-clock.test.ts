// The log's time: whatever becomes of the machine's clock, it goes on as real time does, and comes back to the true time without a jump.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../protocol/clock.ts';
import { openLogClock, skewOf } from './log-clock.ts';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 86_400_000;
const TRUE_MS = 1_780_000_000_000;

/** A machine: real time passes, its clock may be set, it may sleep. */
function machine(wall_ms = TRUE_MS, knowsSleep = true) {
  const time = { wall_ms, elapsed_ms: 5000, uptime_ms: 90_000 };
  const clock: Clock = {
    now_ms: () => time.wall_ms,
    elapsed_ms: () => time.elapsed_ms,
    ...(knowsSleep && { uptime_ms: () => time.uptime_ms }),
    setTimeout: () => null,
    clearTimeout: () => {},
  };
  const pass = (ms: number, asleep = false): void => {
    time.wall_ms += ms;
    time.uptime_ms += ms;
    if (!asleep) time.elapsed_ms += ms;
  };
  const set = (by_ms: number): void => {
    time.wall_ms += by_ms;
  };
  return { clock, pass, set };
}

test('begins with the machine’s clock, or where the log is, if that is ahead, or if the clock is absurd', () => {
  const { clock } = machine();
  const opened = (last_ms: number) => openLogClock(last_ms, clock);
  assert.deepEqual([opened(0).now_ms(), opened(0).opened], [TRUE_MS, { at_ms: TRUE_MS, away_ms: 0 }]);
  assert.equal(opened(TRUE_MS - HOUR_MS).now_ms(), TRUE_MS);
  assert.equal(opened(TRUE_MS - HOUR_MS).opened.away_ms, HOUR_MS);
  assert.equal(opened(TRUE_MS + HOUR_MS).now_ms(), TRUE_MS + HOUR_MS);
  assert.equal(opened(TRUE_MS - 30 * YEAR_MS).now_ms(), TRUE_MS - 30 * YEAR_MS);
});

test('a clock that is set, forward or back, moves neither the time nor a deadline', () => {
  for (const by_ms of [3 * HOUR_MS, -3 * HOUR_MS, 70 * YEAR_MS, -50 * YEAR_MS]) {
    const { clock, pass, set } = machine();
    const time = openLogClock(0, clock);
    pass(10_000);
    const deadline_ms = time.now_ms() + 6000;
    set(by_ms);
    assert.equal(time.now_ms(), TRUE_MS + 10_000);
    const left_ms = time.until_ms(deadline_ms);
    assert.ok(left_ms > 5400 && left_ms < 6700, `${left_ms}`);
    pass(left_ms);
    assert.ok(Math.abs(time.now_ms() - deadline_ms) < 1, 'it comes after as long as was said');
    assert.equal(time.until_ms(deadline_ms - 1000), 0);
  }
});

test('comes back to a clock that was set right in ten times the difference, and stays there', () => {
  for (const by_ms of [-HOUR_MS, HOUR_MS]) {
    const { clock, pass, set } = machine();
    const time = openLogClock(0, clock);
    set(by_ms);
    let before_ms = time.now_ms();
    for (let hour = 0; hour < 12; hour++) {
      for (let i = 0; i < 60; i++) {
        pass(60_000);
        const now_ms = time.now_ms();
        assert.ok(now_ms - before_ms >= 53_999 && now_ms - before_ms <= 66_001, `${now_ms - before_ms}`);
        before_ms = now_ms;
      }
      assert.equal(Math.abs(time.ahead_ms()) < 2000, hour >= 9, `after ${hour + 1} hours`);
    }
    // However seldom it is asked, it does not go beyond.
    set(by_ms);
    pass(100 * HOUR_MS);
    assert.ok(Math.abs(time.ahead_ms()) < 2000);
  }
});

test('a machine that slept was away: the time steps over it, where the sleep can be known', () => {
  const slept = machine();
  const time = openLogClock(0, slept.clock);
  slept.pass(1000);
  slept.pass(8 * HOUR_MS, true);
  assert.equal(time.now_ms(), TRUE_MS + 1000 + 8 * HOUR_MS);
  slept.pass(1000);
  assert.equal(time.now_ms(), TRUE_MS + 2000 + 8 * HOUR_MS);
  const unknown = machine(TRUE_MS, false);
  const other = openLogClock(0, unknown.clock);
  unknown.pass(8 * HOUR_MS, true);
  assert.equal(other.now_ms(), TRUE_MS);
});

test('a difference is told in words, with how long it lasts; a small one is not', () => {
  assert.equal(skewOf(60_000), null);
  assert.match(skewOf(56 * 60_000)!, /56 min ahead of this machine's clock.*a tenth slower.*in about 9 h 20 min/);
  assert.match(skewOf(-3 * HOUR_MS)!, /3 h behind this machine's clock.*a tenth faster.*in about 30 h/);
  assert.match(skewOf(-73 * YEAR_MS)!, /73 years behind/);
});
