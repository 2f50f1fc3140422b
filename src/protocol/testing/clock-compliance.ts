// Compliance tests for every Clock, real or virtual. Each implementation's test file calls them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../clock.ts';

export interface ClockUnderTest {
  readonly clock: Clock;
  /** Resolves when at least that much of the clock's time has passed. */
  pass(duration_ms: number): Promise<unknown>;
}

/** Node counts a timer in whole milliseconds, from the start of its turn of the event loop. */
const ROUNDING_MS = 2;

/** @param unit_ms the smallest step that the clock reliably tells apart; for real time, long enough for a busy machine */
export function clockCompliance(kind: string, open: () => ClockUnderTest, unit_ms: number): void {
  test(`${kind}: time only goes forwards, and by as much as passes`, async () => {
    const { clock, pass } = open();
    const from = { now_ms: clock.now_ms(), elapsed_ms: clock.elapsed_ms() };
    let last_ms = from.elapsed_ms;
    for (let i = 0; i < 3; i++) {
      await pass(unit_ms);
      assert.ok(clock.elapsed_ms() >= last_ms + unit_ms - ROUNDING_MS, `${clock.elapsed_ms()} after ${last_ms}`);
      last_ms = clock.elapsed_ms();
    }
    assert.ok(clock.now_ms() > from.now_ms);
    assert.ok(Number.isSafeInteger(clock.now_ms()));
  });

  test(`${kind}: what is set for later happens once, not sooner, in the order of its times and of the calls`, async () => {
    const { clock, pass } = open();
    const from_ms = clock.elapsed_ms();
    const happened: string[] = [];
    const early: string[] = [];
    const set = (name: string, delay_ms: number, then = () => {}) =>
      clock.setTimeout(() => {
        happened.push(name);
        if (clock.elapsed_ms() < from_ms + delay_ms - ROUNDING_MS) early.push(name);
        then();
      }, delay_ms);
    set('third', 3 * unit_ms);
    set('first', unit_ms, () => set('nested', unit_ms / 4));
    set('first too', unit_ms);
    const never = set('never', 2 * unit_ms);
    assert.equal(happened.length, 0, 'never before the call returns');
    clock.clearTimeout(never);
    while (happened.length < 4) await pass(unit_ms);
    await pass(2 * unit_ms);
    // A timer that is set by a late timer fires after those that were due by then.
    assert.deepEqual(
      happened.filter((name) => name !== 'nested'),
      ['first', 'first too', 'third'],
    );
    assert.equal(happened.indexOf('nested') > 0 && happened.length, 4);
    assert.deepEqual(early, []);
  });

  test(`${kind}: taking back what has happened, what was taken back, or nothing, does no harm`, async () => {
    const { clock, pass } = open();
    let happened = 0;
    const timer = clock.setTimeout(() => happened++, 0);
    while (happened < 1) await pass(unit_ms);
    for (const none of [timer, timer, undefined]) clock.clearTimeout(none);
    clock.setTimeout(() => happened++, unit_ms);
    while (happened < 2) await pass(unit_ms);
  });
}
