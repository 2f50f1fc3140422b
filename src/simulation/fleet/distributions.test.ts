// Holds the distributions against values of tables, and the rest of a stay against sampled stays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../protocol/random.ts';
import { logGamma, lognormalValues, normalQuantile, staysFor, upperGamma } from './distributions.ts';

const near = (got: number, expected: number, within: number): void =>
  assert.ok(Math.abs(got - expected) <= within, `expected ${expected} ± ${within}, got ${got}`);

test('the normal quantile is that of the tables', () => {
  near(normalQuantile(0.5), 0, 1e-9);
  near(normalQuantile(0.975), 1.959963985, 1e-8);
  near(normalQuantile(0.001), -3.090232306, 1e-8);
});

test('the gamma functions are those of the tables', () => {
  near(logGamma(5), Math.log(24), 1e-12);
  near(logGamma(0.5), Math.log(Math.PI) / 2, 1e-12);
  near(upperGamma(1, 2), Math.exp(-2), 1e-12);
  near(upperGamma(0.5, 0.01), 0.8875370839817152, 1e-10); // erfc(0.1)
  near(upperGamma(3, 10), 0.00276939571551, 1e-12);
});

test('a lognormal distribution has its median in the middle, and is one value where sigma is 0', () => {
  const values = lognormalValues({ median: 20, sigma: 0.8 }, 9);
  near(values[4], 20, 1e-9);
  near(Math.log(values[8] / 20), -Math.log(values[0] / 20), 1e-9);
  assert.deepEqual(lognormalValues({ median: 20, sigma: 0 }, 3), [20, 20, 20]);
});

test('with shape 1 a stay lasts longer with the probability e^(-t / mean)', () => {
  near(staysFor(600, { mean_s: 3600, shape: 1 }), Math.exp(-1 / 6), 1e-12);
  assert.equal(staysFor(0, { mean_s: 3600, shape: 0.5 }), 1);
});

test('the rest of a Weibull stay is that of stays that are met at a random moment', () => {
  const random = seededRandom('stays');
  const uniform = (): number => (random.uint32() + 0.5) / 2 ** 32;
  for (const shape of [0.5, 1.6]) {
    const scale_s = 1000 / Math.exp(logGamma(1 + 1 / shape));
    let [all, longer] = [0, 0];
    for (let i = 0; i < 200_000; i++) {
      const stay_s = scale_s * (-Math.log(uniform())) ** (1 / shape);
      // A stay of this length is met at stay_s moments, at stay_s − 500 of which 500 s are left.
      all += stay_s;
      longer += Math.max(0, stay_s - 500);
    }
    near(staysFor(500, { mean_s: 1000, shape }), longer / all, 0.01);
  }
});
