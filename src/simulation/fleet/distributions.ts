// Distributions of devices' lines and stays: quantiles of the normal one (Acklam's approximation) and the rest of a stay that is Weibull.

/** Coefficients of P. J. Acklam's rational approximation of the normal quantile; relative error below 1.2e-9. */
const A = [
  -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239,
];
const B = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572];
const C = [
  -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
  2.938163982698783,
];
const D = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416];
/** Below this probability, and above its counterpart, the tails have a formula of their own. */
const TAIL = 0.02425;

const polynomial = (coefficients: readonly number[], x: number): number =>
  coefficients.reduce((sum, coefficient) => sum * x + coefficient, 0);

/** The value below which a standard normal variable lies with probability `p`, between 0 and 1. */
export function normalQuantile(p: number): number {
  if (p < TAIL) {
    const q = Math.sqrt(-2 * Math.log(p));
    return polynomial(C, q) / (polynomial(D, q) * q + 1);
  }
  if (p > 1 - TAIL) return -normalQuantile(1 - p);
  const q = p - 0.5;
  const r = q * q;
  return (polynomial(A, r) * q) / (polynomial(B, r) * r + 1);
}

/** Values that stand for a lognormal distribution, each for an equal part of it, from the smallest. */
export function lognormalValues(
  { median, sigma }: { readonly median: number; readonly sigma: number },
  parts: number,
): number[] {
  return Array.from({ length: parts }, (_, i) => median * Math.exp(sigma * normalQuantile((i + 0.5) / parts)));
}

/** Lanczos's approximation with g = 7; relative error below 1e-14 for positive numbers. */
const LANCZOS = [
  0.9999999999998099, 676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
];

export function logGamma(x: number): number {
  const [first, ...rest] = LANCZOS;
  const t = x + 6.5;
  const sum = rest.reduce((all, coefficient, i) => all + coefficient / (x + i), first);
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}

const PRECISION = 1e-14;
const MOST_TERMS = 1000;

/** The regularised upper incomplete gamma function Q(a, x) (Numerical Recipes, 6.2: the series below a + 1, the continued fraction above). */
export function upperGamma(a: number, x: number): number {
  if (x <= 0) return 1;
  const scale = Math.exp(a * Math.log(x) - x - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < MOST_TERMS && term > sum * PRECISION; n++) {
      term *= x / (a + n);
      sum += term;
    }
    return Math.max(0, 1 - scale * sum);
  }
  // Lentz's method.
  const tiny = 1e-300;
  let b = x + 1 - a;
  let c = 1 / tiny;
  let d = 1 / b;
  let h = d;
  for (let i = 1; i < MOST_TERMS; i++) {
    const an = -i * (i - a);
    b += 2;
    d = 1 / (an * d + b || tiny);
    c = b + an / c || tiny;
    const change = c * d;
    h *= change;
    if (Math.abs(change - 1) < PRECISION) break;
  }
  return Math.min(1, scale * h);
}

/**
 * The chance that a stay which is under way at a moment lasts so much longer. Stays are Weibull with this mean and shape; one that is met
 * at a random moment is met in proportion to its length, so its rest has the density S(x) / mean. With shape 1 that is e^(−time / mean).
 */
export function staysFor(
  time_s: number,
  { mean_s, shape }: { readonly mean_s: number; readonly shape: number },
): number {
  if (time_s <= 0) return 1;
  const scale_s = mean_s / Math.exp(logGamma(1 + 1 / shape));
  return upperGamma(1 / shape, (time_s / scale_s) ** shape);
}
