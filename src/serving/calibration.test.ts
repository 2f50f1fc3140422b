// Calibrated limits: honest answers keep them, and they are finite, round and never zero.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { limitsFrom } from './calibration.ts';
import { faultOf } from './judge-answer.ts';

const judgedOf = (draws: number, margin: number, end_margin = 0, logprob_distance: number | null = null) => ({
  ...{ flaw: null, prompt_tokens: 8, logprob_distance },
  tally: { draws, margin, differing: 1, end_margin, impossible: 0 },
});

test('every honest answer that was measured keeps the limits', () => {
  const judged = fc.tuple(
    fc.integer({ min: 1, max: 500 }),
    fc.double({ min: 0, max: 3, noNaN: true }),
    fc.double({ min: 0, max: 2, noNaN: true }),
    fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  );
  fc.assert(
    fc.property(fc.array(judged, { maxLength: 40 }), (list) => {
      const honest = list.map((one) => judgedOf(...one));
      const limits = limitsFrom(honest);
      for (const one of honest) assert.equal(faultOf(one, limits), null);
      for (const value of Object.values(limits)) assert.ok(value > 0 && value === Number(value.toPrecision(2)));
    }),
  );
});

test('answers that are twice as bad as the worst do not', () => {
  const honest = Array.from({ length: 50 }, (_, i) => judgedOf(100, i === 7 ? 0.4 : 0.01, 0.3, 0.01));
  const limits = limitsFrom(honest);
  assert.equal(faultOf(judgedOf(100, 0.8, 0, 0), limits), 'margin');
  assert.equal(faultOf(judgedOf(100, 0.1, 0.6, 0), limits), 'end');
  assert.equal(faultOf(judgedOf(100, 0.1, 0, 0.02), limits), 'logprobs');
});
