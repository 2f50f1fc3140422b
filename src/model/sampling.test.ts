// Sampling: the noise is what its definition says, tokens are drawn as often as their probabilities say, and every rule bends the draw as it should.
import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { gumbelNoise, mostNoise, noiseWords } from './noise.ts';
import { PLAIN_SAMPLING, type SamplingRule, sampleToken } from './sampling.ts';

const rule = (change: Partial<SamplingRule> = {}): SamplingRule => ({ ...PLAIN_SAMPLING, seed: 'test', ...change });
const logitsOf = (probabilities: readonly number[]): Float32Array => Float32Array.from(probabilities, Math.log);

/** How often each token is drawn at 20,000 positions. */
function shares(logits: Float32Array, change: Partial<SamplingRule>, place: object = {}): number[] {
  const counts = Array.from(logits, () => 0);
  for (let position = 0; position < 20_000; position++) {
    counts[sampleToken(logits, rule({ seed: JSON.stringify(change), ...change }), { position, ...place })]++;
  }
  return counts.map((count) => count / 20_000);
}
const close = (actual: number[], expected: number[]): void =>
  actual.forEach((share, i) => {
    assert.ok(Math.abs(share - expected[i]) < 0.015, `${actual} instead of ${expected}`);
  });

describe('the noise', () => {
  test('has these words and values on every machine', () => {
    assert.deepEqual([...noiseWords('potluck', 7, 4)], [1146361803, 1419219074, 1288432867, 1911969115]);
    assert.deepEqual([...noiseWords('', 0, 2)], [...noiseWords('', 0, 900).subarray(0, 2)]);
    assert.equal(gumbelNoise(0), -3.129994640884816);
    assert.equal(gumbelNoise(2 ** 31), 0.366512920917568);
    assert.equal(gumbelNoise(2 ** 32 - 1), 22.87385695841999);
  });

  test('is the key stream of ChaCha20 as OpenSSL computes it', () => {
    for (const [seed, position] of [
      ['a', 0],
      ['ü', 65_536],
      ['x'.repeat(64), 4_000_000_000],
    ] as const) {
      const key = createHash('sha256').update(`potluck/noise/1\n${seed}`).digest();
      const counter_and_nonce = new Uint8Array(16);
      new DataView(counter_and_nonce.buffer).setUint32(4, position, true);
      const stream = createCipheriv('chacha20', key, counter_and_nonce).update(new Uint8Array(4 * 1000));
      const expected = Array.from({ length: 1000 }, (_, token) => stream.readUInt32LE(4 * token));
      assert.deepEqual([...noiseWords(seed, position, 1000)], expected);
    }
  });

  test('is Gumbel noise, and never more than its bound', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.nat(2 ** 32 - 1),
          fc.nat(2000).map((low) => 2 ** 32 - 1 - low),
        ),
        (word) => {
          const exact = -Math.log(-Math.log1p(-(2 ** 32 - word - 0.5) / 2 ** 32));
          assert.ok(Math.abs(gumbelNoise(word) - exact) < 1e-6);
          assert.ok(mostNoise(word) >= gumbelNoise(word));
          assert.ok(mostNoise(word) < Math.max(1.5, gumbelNoise(word) + 1.5));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('a draw', () => {
  const probabilities = [0.5, 0.05, 0.3, 0.15];
  const logits = logitsOf(probabilities);

  test('takes tokens as often as their probabilities say, and only from the nucleus', () => {
    close(shares(logits, {}), probabilities);
    // 0.5 + 0.3 reach 0.8 exactly up to rounding, so 0.79 keeps those two.
    close(shares(logits, { top_p: 0.79 }), [0.625, 0, 0.375, 0]);
    close(shares(logits, { top_p: 0.1 }), [1, 0, 0, 0]);
    const squares = probabilities.map((p) => p ** 2);
    const sum = squares.reduce((a, b) => a + b, 0);
    close(
      shares(logits, { temperature: 0.5 }),
      squares.map((p) => p / sum),
    );
  });

  test('follows bias, penalties and mask', () => {
    close(
      shares(logits, {
        logit_bias: [
          [1, Math.log(10)],
          [900, 5],
        ],
      }),
      [0.5, 0.5, 0.3, 0.15].map((p) => p / 1.45),
    );
    close(shares(logits, { logit_bias: [[0, -100]] }), [0, 0.1, 0.6, 0.3]);
    const counts = new Map([
      [0, 2],
      [2, 1],
    ]);
    const penalties = { presence_penalty: 0.3, frequency_penalty: 0.2 };
    const bent = [0.5 * Math.exp(-0.7), 0.05, 0.3 * Math.exp(-0.5), 0.15];
    const sum = bent.reduce((a, b) => a + b, 0);
    close(
      shares(logits, penalties, { counts }),
      bent.map((p) => p / sum),
    );
    close(shares(logits, {}, { mask: Uint32Array.of(0b1010) }), [0, 0.25, 0, 0.75]);
    // The temperature divides what bias and penalties have left, and a mask goes before all of them.
    assert.equal(sampleToken(logits, rule({ temperature: 0, logit_bias: [[1, 3]] }), { position: 0 }), 1);
    const only3 = { position: 0, mask: Uint32Array.of(0b1000) };
    assert.equal(sampleToken(logits, rule({ temperature: 0, logit_bias: [[1, 100]] }), only3), 3);
  });

  test('is greedy at temperature 0, and takes the first of equal tokens', () => {
    assert.equal(sampleToken(Float32Array.of(1, 3, 3), rule({ temperature: 0 }), { position: 5 }), 1);
    assert.equal(sampleToken(Float32Array.of(1, 3, 3), rule({ temperature: 1e-300 }), { position: 5 }), 1);
  });

  test('never takes what has no finite logit; where nothing is left, it says so', () => {
    const broken = Float32Array.of(Number.NaN, -3, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
    for (const temperature of [0, 1]) assert.equal(sampleToken(broken, rule({ temperature }), { position: 0 }), 1);
    const nothing = { position: 0, mask: Uint32Array.of(0b1101) };
    assert.throws(() => sampleToken(broken, rule(), nothing), { code: 'bad-input', message: /no token may come/ });
  });

  test('is the largest of weighed logit and noise over the nucleus by its definition', () => {
    const floats = fc.array(fc.float({ noNaN: true, min: -30, max: 30 }), { minLength: 1, maxLength: 300 });
    const rules = fc.record({
      seed: fc.string(),
      temperature: fc.double({ min: 0.05, max: 100, noNaN: true }),
      top_p: fc.oneof(fc.constant(1), fc.double({ min: 1e-9, max: 1, noNaN: true })),
    });
    fc.assert(
      fc.property(floats, rules, fc.nat(100_000), (values, change, position) => {
        const scaled = Float32Array.from(values);
        const z = Array.from(scaled, (logit) => logit / change.temperature);
        const top = Math.max(...z);
        const odds = z.map((value) => Math.exp(value - top));
        const order = [...odds.keys()].sort((a, b) => z[b] - z[a] || a - b);
        const total = odds.reduce((sum, odd) => sum + odd, 0);
        let before = 0;
        const kept = order.filter((id) => {
          const keeps = before < change.top_p * total;
          before += odds[id];
          return keeps;
        });
        const words = noiseWords(change.seed, position, z.length);
        const scores = kept.map((id) => z[id] + gumbelNoise(words[id]));
        const id = sampleToken(scaled, rule(change), { position });
        assert.equal(z[id] + gumbelNoise(words[id]), Math.max(...scores));
      }),
      { numRuns: 500 },
    );
  });

  test('is another one for another seed or position', () => {
    const flat = new Float32Array(1000);
    const draws = [
      ['a', 0],
      ['a', 1],
      ['b', 0],
      ['a0', 0],
    ] as const;
    const ids = draws.map(([seed, position]) => sampleToken(flat, rule({ seed }), { position }));
    assert.equal(new Set(ids).size, 4);
  });
});
