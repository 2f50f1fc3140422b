// Margins: none for what a judge draws itself, small for honest noise of logits, large for whoever draws by other rules.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../protocol/random.ts';
import { marginOf } from './margin.ts';
import { gumbelNoise, noiseWords } from './noise.ts';
import { PLAIN_SAMPLING, type SamplingRule, sampleToken } from './sampling.ts';

const TOKENS = 100;
const DRAWS = 2000;

/** A number that is near 0, as sums of many small errors are. */
const error = (random: () => number): number => random() + random() + random() - 1.5;

/** Logits as a model has them: a few likely tokens, many unlikely ones. */
function logitsAt(position: number): Float32Array {
  const random = seededRandom('logits', position);
  return Float32Array.from({ length: TOKENS }, () => 4 * error(() => random.uint32() / 2 ** 32));
}
/** What another engine, or a quantisation, makes of them. */
function moved(logits: Float32Array, position: number, by: number): Float32Array {
  const random = seededRandom('moved', position);
  return logits.map((logit) => logit + 2 * by * error(() => random.uint32() / 2 ** 32));
}

interface Served {
  readonly rule: SamplingRule;
  readonly logits: (position: number) => Float32Array;
}
/** The mean margin of what is served otherwise than the rule says. */
function meanMargin(rule: SamplingRule, change: Partial<Served>): number {
  const served = { rule, logits: logitsAt, ...change };
  let sum = 0;
  for (let position = 0; position < DRAWS; position++) {
    const id = sampleToken(served.logits(position), served.rule, { position });
    sum += marginOf(logitsAt(position), rule, { position }, id).margin;
  }
  return sum / DRAWS;
}

for (const change of [{}, { top_p: 0.9 }, { temperature: 0.7, top_p: 0.95 }, { temperature: 0 }]) {
  describe(`under ${JSON.stringify(change)}`, () => {
    const rule = { ...PLAIN_SAMPLING, seed: 'margin', ...change };
    const honest = meanMargin(rule, { logits: (position) => moved(logitsAt(position), position, 0.01) });

    test('the same logits have no margin, slightly different ones a small one', () => {
      assert.equal(meanMargin(rule, {}), 0);
      assert.ok(honest < 0.0005, `${honest}`);
    });

    test('logits that are further off, and other rules, have one many times as large', () => {
      const lies: Record<string, Partial<Served>> = {
        'coarser weights': { logits: (position) => moved(logitsAt(position), position, 0.15) },
        'another model': { logits: (position) => logitsAt(position + 1) },
        warmer: { rule: { ...rule, temperature: 1.3 } },
        ...(rule.temperature > 0 && { 'another seed': { rule: { ...rule, seed: 'other' } } }),
        ...(rule.top_p < 1 && { 'top_p ignored': { rule: { ...rule, top_p: 1 } } }),
        greedy: rule.temperature > 0 ? { rule: { ...rule, temperature: 0 } } : { rule: { ...rule, temperature: 1 } },
      };
      for (const [name, lie] of Object.entries(lies)) {
        const margin = meanMargin(rule, lie);
        assert.ok(margin > 8 * honest && margin > 0.002, `${name}: ${margin} beside ${honest}`);
      }
    });
  });
}

test('at the border of a nucleus either side is right, further away none is', () => {
  const rule = { ...PLAIN_SAMPLING, seed: 'border', top_p: 0.9 };
  // Joint probabilities 0.6, 0.9 (the border, up to rounding), 0.96 and 1.
  const logits = Float32Array.from([0.6, 0.3, 0.06, 0.04], Math.log);
  for (let position = 0; position < 2000; position++) {
    const { choice } = marginOf(logits, rule, { position }, 0);
    for (const off of [-1e-4, 1e-4]) {
      const other = sampleToken(Float32Array.from([0.6, 0.3 + off, 0.06, 0.04], Math.log), rule, { position });
      assert.ok(marginOf(logits, rule, { position }, other).margin < 0.002, `${position}: ${other} for ${choice}`);
    }
    assert.ok(marginOf(logits, rule, { position }, 3).margin >= Math.log(0.06 / 0.04) - 1e-6);
  }
});

test('a margin is in nats of a logit before the temperature', () => {
  const logits = Float32Array.of(0.5, 0, -0.5, 0.25);
  for (const change of [
    { temperature: 0.5 },
    { temperature: 2 },
    { temperature: 2, top_p: 0.999 },
    { temperature: 0 },
  ]) {
    const rule = { ...PLAIN_SAMPLING, seed: 'unit', ...change };
    const words = noiseWords('unit', 3, 4);
    const noise = (id: number): number => (rule.temperature === 0 ? 0 : rule.temperature * gumbelNoise(words[id]));
    for (let served = 0; served < 4; served++) {
      const { choice, margin } = marginOf(logits, rule, { position: 3 }, served);
      const expected = logits[choice] + noise(choice) - logits[served] - noise(served);
      assert.ok(Math.abs(margin - expected) < 1e-9, `${JSON.stringify(change)} ${served}: ${margin}, not ${expected}`);
    }
  }
});

test('what may not come at all has an infinite margin', () => {
  const rule = { ...PLAIN_SAMPLING, seed: 'mask' };
  for (const temperature of [0, 1]) {
    const masked = { position: 1, mask: Uint32Array.of(0b011) };
    assert.equal(marginOf(Float32Array.of(1, 2, 9), { ...rule, temperature }, masked, 2).margin, Infinity);
    assert.equal(marginOf(Float32Array.of(1, 2, 9), { ...rule, temperature }, masked, 77).margin, Infinity);
  }
});

test('a margin is never negative, and 0 for what the judge draws', () => {
  const floats = fc.array(fc.float({ noNaN: true, min: -30, max: 30 }), { minLength: 2, maxLength: 60 });
  const rules = fc.record({
    seed: fc.string(),
    temperature: fc.double({ min: 0, max: 2, noNaN: true }),
    top_p: fc.oneof(fc.constant(1), fc.double({ min: 1e-9, max: 1, noNaN: true })),
  });
  fc.assert(
    fc.property(floats, rules, fc.nat(), fc.nat(), (values, change, position, pick) => {
      const logits = Float32Array.from(values);
      const rule = { ...PLAIN_SAMPLING, ...change };
      const served = pick % values.length;
      const { choice, margin } = marginOf(logits, rule, { position }, served);
      assert.equal(choice, sampleToken(logits, rule, { position }));
      assert.ok(margin >= 0);
      assert.equal(marginOf(logits, rule, { position }, choice).margin, 0);
    }),
  );
});
