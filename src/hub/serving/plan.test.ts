// The plan of one answer: each case by an example, and what must hold whatever is known by drawn examples.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type AnswerKnown, type LeaseKnown, lateAt, PLAN_LIMITS, planAnswer } from './plan.ts';

const USUAL = { first_ms: 400, gap_ms: 100, round_trip_ms: 20 };
const lease = (more: Partial<LeaseKnown> = {}): LeaseKnown => ({
  ...{ id: 'a', sent_ms: 0, taken_ms: 10, first_ms: null, last_ms: null, tokens: 0, usual: USUAL },
  ...more,
});
const writing = (more: Partial<LeaseKnown> = {}): LeaseKnown =>
  lease({ first_ms: 400, last_ms: 1000, tokens: 7, ...more });
const known = (more: Partial<AnswerKnown> = {}): AnswerKnown => ({
  ...{
    now_ms: 1000,
    begun: false,
    in_mid_answer: false,
    caller_full: false,
    leases: [],
    hedged: false,
    fruitless: 0,
    refusals: [],
  },
  ...{ without_since_ms: 1000, idle: false, candidates: ['x', 'y'], offered: true, retry_after_ms: 700 },
  ...more,
});

describe('the plan of an answer', () => {
  test('gives it to the best device; refuses it at once where none has room, and says when to come again', () => {
    assert.deepEqual(planAnswer(known()), { do: 'lease', device: 'x', why: 'first' });
    const full = planAnswer(known({ candidates: [] }));
    assert.deepEqual(full, { do: 'refuse', code: 'no-room', retry_after_ms: 700 });
    const nobody = planAnswer(known({ candidates: [], offered: false }));
    assert.equal(nobody.do === 'refuse' && nobody.code, 'unknown-model');
  });

  test('waits for a device only once the caller has got something, and not for ever', () => {
    const begun = known({ candidates: [], begun: true });
    assert.deepEqual(planAnswer(begun), { do: 'wait', until_ms: 1000 + PLAN_LIMITS.patience_ms });
    const later = planAnswer({ ...begun, now_ms: 1000 + PLAN_LIMITS.patience_ms });
    assert.deepEqual(later, { do: 'give-up', why: 'nobody-left' });
    assert.deepEqual(planAnswer(known({ begun: true })), { do: 'lease', device: 'x', why: 'hand-over' });
  });

  test('ends the lease of a device without a token for three times its usual, if another can go on', () => {
    const slow = { ...USUAL, gap_ms: 1000 };
    const one = writing({ usual: slow });
    assert.equal(lateAt(one), 4000);
    assert.deepEqual(planAnswer(known({ leases: [one], begun: true, now_ms: 3999 })), { do: 'wait', until_ms: 4000 });
    const late = planAnswer(known({ leases: [one], begun: true, now_ms: 4000 }));
    assert.deepEqual(late, { do: 'drop', lease: 'a', why: 'late' });
    const alone = known({ leases: [one], begun: true, now_ms: 4000, candidates: [] });
    assert.deepEqual(planAnswer(alone), { do: 'wait', until_ms: 4000 + PLAN_LIMITS.alone_ms });
    assert.equal(planAnswer({ ...alone, now_ms: 4000 + PLAN_LIMITS.alone_ms }).do, 'drop');
  });

  test('does not wait long for a device that does not even say that the request has come', () => {
    const { taken_least_ms } = PLAN_LIMITS;
    assert.equal(lateAt(lease({ taken_ms: null })), taken_least_ms);
    assert.equal(
      lateAt(lease({ taken_ms: null, usual: { ...USUAL, round_trip_ms: 60_000 } })),
      PLAN_LIMITS.taken_most_ms,
    );
    assert.equal(lateAt(lease()), 10 + PLAN_LIMITS.first_least_ms);
  });

  test('slow drip holds no lease: each token in time, but twice as slow as usual over the whole', () => {
    const usual = { ...USUAL, gap_ms: 1000 };
    let now_ms = 0;
    let dripping = lease({ first_ms: 0, last_ms: 0, tokens: 1, taken_ms: 0, usual });
    for (; lateAt(dripping) > now_ms + 2900 && dripping.tokens < 1000; ) {
      now_ms += 2900; // within three times its usual
      dripping = { ...dripping, last_ms: now_ms, tokens: dripping.tokens + 1 };
    }
    assert.ok(dripping.tokens < 6, `it held the lease for ${dripping.tokens} tokens`);
    // At its usual pace it holds the lease for ever.
    const steady = lease({ first_ms: 0, last_ms: 999_000, tokens: 1000, taken_ms: 0, usual });
    assert.equal(lateAt(steady), 1_002_000);
  });

  test('asks a second device for the first token where the pool is idle, once', () => {
    const idle = known({ leases: [lease()], idle: true, now_ms: 100 });
    const hedge_ms = PLAN_LIMITS.hedge_times_usual * 420;
    assert.deepEqual(planAnswer(idle), { do: 'wait', until_ms: hedge_ms });
    assert.deepEqual(planAnswer({ ...idle, now_ms: hedge_ms }), { do: 'lease', device: 'x', why: 'hedge' });
    for (const never of [{ hedged: true }, { idle: false }, { candidates: [] }, { leases: [writing()] }]) {
      assert.equal(planAnswer({ ...idle, now_ms: hedge_ms, ...never }).do, 'wait', JSON.stringify(never));
    }
    // A reader who waits in the middle of a sentence is not made to wait for what is usual.
    const soon = planAnswer({ ...idle, in_mid_answer: true });
    assert.deepEqual(soon, { do: 'wait', until_ms: PLAN_LIMITS.hedge_least_ms });
    const both = [lease({ id: 'a' }), writing({ id: 'b' })];
    assert.deepEqual(planAnswer({ ...idle, leases: both }), { do: 'drop', lease: 'a', why: 'not-needed' });
  });

  test('releases the device of a caller that does not read', () => {
    const full = known({ caller_full: true, begun: true, leases: [writing()] });
    assert.deepEqual(planAnswer(full), { do: 'drop', lease: 'a', why: 'caller-slow' });
    assert.deepEqual(planAnswer({ ...full, leases: [] }), { do: 'wait', until_ms: null });
  });

  test('believes two devices that refuse a request, or the only one; lets no request end the whole pool', () => {
    const refusals = [{ code: 'bad-input', message: 'no' }];
    assert.equal(planAnswer(known({ refusals })).do, 'lease');
    assert.deepEqual(planAnswer(known({ refusals, candidates: [] })), { do: 'pass-on', refusal: refusals[0] });
    assert.equal(planAnswer(known({ refusals: [...refusals, ...refusals] })).do, 'pass-on');
    const poison = planAnswer(known({ fruitless: PLAN_LIMITS.fruitless }));
    assert.deepEqual(poison, { do: 'give-up', why: 'ends-engines' });
  });

  test('whatever is known: it acts only on what is there, and waits only for what can come', () => {
    const time = fc.integer({ min: 0, max: 100_000 });
    const leases = fc.array(
      fc.record({
        id: fc.constantFrom('a', 'b'),
        sent_ms: time,
        taken: fc.boolean(),
        tokens: fc.integer({ min: 0, max: 50 }),
        after_ms: time,
        gap_ms: fc.integer({ min: 1, max: 5000 }),
      }),
      { maxLength: 2 },
    );
    const any = fc.record({
      now_ms: time,
      begun: fc.boolean(),
      in_mid_answer: fc.boolean(),
      caller_full: fc.boolean(),
      leases: leases.map((some) =>
        some.map(
          ({ sent_ms, taken, tokens, after_ms, gap_ms }, i): LeaseKnown => ({
            ...{ id: 'ab'[i], sent_ms, tokens },
            taken_ms: taken || tokens > 0 ? sent_ms + 5 : null,
            first_ms: tokens > 0 ? sent_ms + 50 : null,
            last_ms: tokens > 0 ? sent_ms + 50 + after_ms : null,
            usual: { first_ms: 4 * gap_ms, gap_ms, round_trip_ms: 30 },
          }),
        ),
      ),
      hedged: fc.boolean(),
      fruitless: fc.integer({ min: 0, max: 6 }),
      refusals: fc.array(fc.constant({ code: 'bad-input', message: 'no' }), { maxLength: 3 }),
      without_since_ms: time,
      idle: fc.boolean(),
      candidates: fc.uniqueArray(fc.constantFrom('x', 'y', 'z')),
      offered: fc.boolean(),
      retry_after_ms: fc.integer({ min: 250, max: 30_000 }),
    });
    fc.assert(
      fc.property(any, (now) => {
        const action = planAnswer(now);
        const { leases: held, candidates, begun, caller_full, now_ms } = now;
        if (action.do === 'lease') {
          assert.equal(action.device, candidates[0]);
          assert.ok(held.length < 2 && !caller_full);
          if (held.length === 1) assert.ok(action.why === 'hedge' && now.idle && held[0].tokens === 0 && !now.hedged);
        }
        if (action.do === 'drop') {
          const dropped = held.find(({ id }) => id === action.lease)!;
          const rest = held.length > 1 || candidates.length > 0;
          if (action.why === 'late') assert.ok(now_ms >= lateAt(dropped) + (rest ? 0 : PLAN_LIMITS.alone_ms));
          if (action.why === 'not-needed') assert.ok(dropped.tokens === 0 && held.some(({ tokens }) => tokens > 0));
          if (action.why === 'caller-slow') assert.ok(caller_full);
        }
        if (action.do === 'refuse') assert.ok(!begun && held.length === 0 && candidates.length === 0);
        if (action.do === 'pass-on' || action.do === 'give-up') assert.equal(held.length, 0);
        if (action.do === 'wait') {
          assert.ok(action.until_ms === null ? caller_full && held.length === 0 : action.until_ms > now_ms);
          assert.ok(begun || held.length > 0 || caller_full, 'nobody waits where a refusal is honest');
        }
      }),
      { numRuns: 2000 },
    );
  });
});
