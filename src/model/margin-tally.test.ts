// Tallies of margins: sums, the one draw of an end, tokens that may not come, and what is wrong with them under limits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addDraw, type MarginLimits, MarginLimitsSchema, marginFault, NO_DRAWS } from './margin-tally.ts';

const END = 9;
const LIMITS: MarginLimits = { per_draw: 0.01, allowance: 0.1, end_margin: 0.5 };
const tallyOf = (...draws: [choice: number, margin: number, served: number][]) =>
  draws.reduce((tally, [choice, margin, served]) => addDraw(tally, { choice, margin }, served, [END]), NO_DRAWS);

test('margins are added up, and those of ends are kept apart', () => {
  const first = tallyOf([1, 0, 1], [2, 0.25, 3], [END, 0.375, 4], [5, 0.125, END], [END, 0, END]);
  assert.deepEqual(first, { draws: 5, margin: 0.75, differing: 3, end_margin: 0.375, impossible: 0 });
});

test('limits bound the sum by the number of draws, the draw of an end by itself', () => {
  assert.equal(marginFault(NO_DRAWS, LIMITS), null);
  assert.equal(marginFault(tallyOf([1, 0.109, 2]), LIMITS), null);
  assert.equal(marginFault(tallyOf([1, 0.111, 2]), LIMITS), 'margin');
  const many = Array.from({ length: 90 }, (): [number, number, number] => [1, 0, 1]);
  assert.equal(marginFault(tallyOf(...many, [END, 0.49, 2], [2, 0.5, END]), LIMITS), null);
  assert.equal(marginFault(tallyOf(...many, [END, 0.51, 2]), LIMITS), 'end');
  assert.equal(marginFault(tallyOf(...many, [1, 0.51, 2]), LIMITS), null);
  assert.equal(marginFault(tallyOf(...many, [1, Number.POSITIVE_INFINITY, 2]), LIMITS), 'impossible-token');
  assert.equal(tallyOf([END, Number.POSITIVE_INFINITY, 2]).end_margin, 0);
  for (const broken of [
    { ...LIMITS, per_draw: 0 },
    { ...LIMITS, allowance: Number.NaN },
    { ...LIMITS, more: 1 },
  ]) {
    assert.equal(MarginLimitsSchema.safeParse(broken).success, false);
  }
});
