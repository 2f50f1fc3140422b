// What judges' words come to: no single one takes anything, and a lie needs two.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Margins } from '../../core/events/limits-published.ts';
import { inMicro } from '../../core/serving/margins.ts';
import type { Judged } from '../../serving/judge-answer.ts';
import { limitsBy, outcomeOf, refuses } from './verdict.ts';

const found = (change: Partial<Judged['tally']> = {}, more: Partial<Judged> = {}): Judged => ({
  ...{ flaw: null, prompt_tokens: 3, logprob_distance: null },
  tally: { draws: 20, margin: 0, differing: 0, end_margin: 0, impossible: 0, ...change },
  ...more,
});
const part = { ids: 20, prompt_tokens: 3 };

test('one acceptance is enough; one refusal asks on, two are believed, and two acceptances outweigh one', () => {
  const outcomes: readonly [string, boolean[]][] = [
    ['ask', []],
    ['accepted', [false]],
    ['ask', [true]],
    ['refused', [true, true]],
    ['ask', [true, false]],
    ['accepted', [true, false, false]],
    ['refused', [true, false, true]],
  ];
  for (const [outcome, words] of outcomes) assert.equal(outcomeOf(words), outcome, words.join());
});

test('one liar among three judges changes no outcome that is a refusal or not, wherever it is asked', () => {
  const drawn = fc.property(fc.boolean(), fc.nat({ max: 3 }), (lies, liar) => {
    const words: boolean[] = [];
    while (outcomeOf(words) === 'ask') words.push(words.length === liar ? !lies : lies);
    assert.ok(words.length <= 3);
    // A lying first judge may accept what is wrong: then nobody else is asked, and the next answer is judged by another.
    if (!lies || liar > 0) assert.equal(outcomeOf(words), lies ? 'refused' : 'accepted');
  });
  fc.assert(drawn);
});

test('honest sums are accepted, garbage is refused, and sums of something else are no verdict', () => {
  assert.equal(refuses(found(), part, limitsBy(undefined, 'f32')), false);
  assert.equal(refuses(found({ margin: 0.5, differing: 2, end_margin: 0.5 }), part, limitsBy(undefined, 'f32')), false);
  assert.equal(refuses(found({ margin: 40, differing: 18 }), part, limitsBy(undefined, 'f32')), true);
  assert.equal(refuses(found({ end_margin: 0.7 }), part, limitsBy(undefined, 'f32')), true);
  assert.equal(refuses(found({ impossible: 1 }), part, limitsBy(undefined, 'f32')), true);
  assert.equal(refuses(found({}, { logprob_distance: 0.1 }), part, limitsBy(undefined, 'f32')), true);
  assert.equal(refuses(found({}, { prompt_tokens: 4 }), part, limitsBy(undefined, 'f32')), true);
  assert.equal(refuses(found({ draws: 3 }, { flaw: 'past-the-end' }), part, limitsBy(undefined, 'f32')), true);
  assert.equal(refuses(found({ draws: 19 }), part, limitsBy(undefined, 'f32')), null);
  assert.equal(refuses(found({ draws: 21 }, { flaw: 'past-the-end' }), part, limitsBy(undefined, 'f32')), null);
  assert.equal(refuses(found({ differing: 21 }), part, limitsBy(undefined, 'f32')), null);
  assert.equal(refuses(found({ impossible: 21 }), part, limitsBy(undefined, 'f32')), null);
});

test('what a run’s owner has published is held against answers in place of the hub’s own', () => {
  const margins: Margins = {
    ...{ per_draw_micro: 200, allowance_micro: 50_000, end_margin_micro: 100_000, logprob_distance_micro: 2000 },
    ...{ usual_per_draw_micro: 100, sum_micro: 500_000 },
  };
  const limits = limitsBy(margins, 'q8_0');
  assert.deepEqual(inMicro(limits), margins);
  const refused = (one: Judged): boolean | null => refuses(one, part, limits);
  assert.deepEqual([refused(found({ margin: 0.053 })), refused(found({ margin: 0.055 }))], [false, true]);
  assert.deepEqual([refused(found({ end_margin: 0.1 })), refused(found({ end_margin: 0.11 }))], [false, true]);
  const told = (logprob_distance: number) => refused(found({}, { logprob_distance }));
  assert.deepEqual([told(0.002), told(0.0021)], [false, true]);
});

test('engines that round are judged by wider limits than those that do not, and garbage by none', () => {
  const nats = (margin: number, quantisation: 'f32' | 'f16' | 'q8_0' | 'q4_0') =>
    refuses(found({ margin }), part, limitsBy(undefined, quantisation));
  assert.deepEqual([nats(6, 'f32'), nats(6, 'f16'), nats(6, 'q8_0'), nats(6, 'q4_0')], [true, true, false, false]);
  assert.deepEqual([nats(40, 'q8_0'), nats(40, 'q4_0')], [true, true]);
});
