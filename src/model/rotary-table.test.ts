// That our own logarithm, exponential, sine and cosine are as good as the engine's, and the table is the rotation of RoPE.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { exponential, naturalLogarithm, rotaryTable, sineCosine } from './rotary-table.ts';

const plain = (head_dim: number, rope_theta: number) => ({ head_dim, rope_theta, rope_scaling: null });

/** A few units in the last place of a double; float32 rounds far coarser. */
const CLOSE = 4e-15;

describe('elementary functions', () => {
  it('naturalLogarithm', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), (x) => {
        assert.ok(Math.abs(naturalLogarithm(x) - Math.log(x)) <= CLOSE * Math.max(1, Math.abs(Math.log(x))));
      }),
    );
  });

  it('exponential', () => {
    fc.assert(
      fc.property(fc.double({ min: -30, max: 30, noNaN: true }), (x) => {
        assert.ok(Math.abs(exponential(x) / Math.exp(x) - 1) <= CLOSE);
      }),
    );
  });

  it('sineCosine', () => {
    fc.assert(
      fc.property(fc.double({ min: -1e6, max: 1e6, noNaN: true }), (x) => {
        const { sine, cosine } = sineCosine(x);
        assert.ok(Math.abs(sine - Math.sin(x)) <= CLOSE, `sine of ${x}`);
        assert.ok(Math.abs(cosine - Math.cos(x)) <= CLOSE, `cosine of ${x}`);
      }),
    );
  });
});

describe('rotaryTable', () => {
  it('holds cosines and signed sines of position · theta^(-2i / head_dim)', () => {
    const head_dim = 8;
    const { cosine, sine } = rotaryTable(50, plain(head_dim, 10_000));
    for (let position = 0; position < 50; position++) {
      for (let i = 0; i < head_dim; i++) {
        const angle = position * 10_000 ** (-(2 * (i % 4)) / head_dim);
        assert.ok(Math.abs(cosine[position * head_dim + i] - Math.cos(angle)) < 5e-6);
        const expected = i < 4 ? -Math.sin(angle) : Math.sin(angle);
        assert.ok(Math.abs(sine[position * head_dim + i] - expected) < 5e-6);
      }
    }
  });

  it('continues from any position, and scales', () => {
    const whole = rotaryTable(20, plain(4, 500));
    const rest = rotaryTable(8, plain(4, 500), 0.5, 12);
    assert.deepEqual(
      rest.sine,
      whole.sine.slice(12 * 4).map((value) => value * 0.5),
    );
    assert.deepEqual(
      rest.cosine,
      whole.cosine.slice(12 * 4).map((value) => value * 0.5),
    );
  });
});
