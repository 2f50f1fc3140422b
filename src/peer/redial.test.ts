// When a lost connection is dialled again, and what is made of the failures.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIRST_TRY, onGiveWay, onHeard, onHttp, onWelcome, planRedial, type Tries } from './redial.ts';

/** Failures in a row. */
const fail = (tries: Tries, times: number, reason = '') =>
  Array.from({ length: times }, () => {
    const plan = planRedial(tries, reason);
    tries = plan.tries;
    return plan;
  });

test('the waits double up to ten seconds, and begin anew only with a welcome', () => {
  const plans = fail(FIRST_TRY, 8);
  assert.deepEqual(
    plans.map(({ wait_ms }) => wait_ms),
    [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000],
  );
  const { tries } = plans[7];
  assert.equal(planRedial(onHeard(tries), '').wait_ms, 10_000, 'a hub that talks and lets nobody in');
  assert.equal(planRedial(onWelcome(tries), '').wait_ms, 200);
});

test('after three connections on which nothing was heard the hub is asked over HTTP, once, and not where it is full', () => {
  const asks = (reason: string, tries = FIRST_TRY) => fail(tries, 5, reason).map(({ asksHttp }) => asksHttp);
  assert.deepEqual(asks('Unexpected server response: 400'), [false, false, true, false, false]);
  assert.deepEqual(asks('Unexpected server response: 429'), [false, false, false, false, false]);
  const [, second] = fail(FIRST_TRY, 2);
  assert.deepEqual(asks('', onHeard(second.tries)), [false, false, true, false, false], 'heard of in between');
});

test('a hub that answers over HTTP is called blocked at the next failure, unless it was heard meanwhile', () => {
  const { tries } = fail(FIRST_TRY, 3)[2];
  assert.equal(planRedial(onHttp(tries, true), '').blocked, true);
  assert.equal(planRedial(onHttp(tries, false), '').blocked, false);
  assert.equal(planRedial(onHttp(onHeard(tries), true), '').blocked, false);
  assert.equal(planRedial(planRedial(onHttp(tries, true), '').tries, '').blocked, false, 'said once');
});

test('whoever gives way to another device waits for minutes, longer each time, and does not call the hub away', () => {
  const waits_ms: number[] = [];
  let tries = FIRST_TRY;
  for (let i = 0; i < 4; i++) {
    tries = onGiveWay(tries);
    const plan = planRedial(tries, '');
    assert.equal(plan.away, false);
    waits_ms.push(plan.wait_ms);
    tries = plan.tries;
  }
  assert.deepEqual(waits_ms, [120_000, 240_000, 480_000, 600_000]);
  const back = planRedial(onWelcome(tries), '');
  assert.deepEqual([back.away, back.wait_ms], [true, 200]);
});
