// Fixed-point numbers with 32 fractional bits (I32F32), for scores and pay: every bit of a result is defined.

/**
 * A fixed-point number: a JavaScript integer that counts units of 2^-32. Every value in use is a share of something or a sum of at most
 * 65,536 shares, so it is below 2^48, where a float64 holds all integers. So additions and comparisons are exact, and the products and
 * quotients below are exact before they are truncated. (BigInt gives the same results, ten times slower.)
 */
export type Fixed = number;

/** 1 as a fixed-point number. */
export const ONE: Fixed = 2 ** 32;

/** The largest u16, which stores a share of 1. */
export const U16_MAX = 65_535;

const HALF_WORD = 2 ** 16;
const WORD = 2n ** 32n;

/** floor(a · b) for 0 ≤ a ≤ 2^33 and |b| ≤ 2^36 (units). The two halves of `a` are multiplied separately, so that each product is exact. */
export function mul(a: Fixed, b: Fixed): Fixed {
  const low = a % HALF_WORD;
  const high = (a - low) / HALF_WORD;
  return Math.floor((high * b + Math.floor((low * b) / HALF_WORD)) / HALF_WORD);
}

/**
 * a / b truncated towards zero, for 0 ≤ a ≤ b < 2^53; x / 0 is 0. The quotient of two plain integers is computed the same way.
 * The float64 quotient is the nearest to the true one, and rounding keeps order. So it can have been rounded up across an integer only
 * where it is an integer, and only then is it compared exactly.
 */
export function div(a: number, b: number): Fixed {
  if (b === 0 || a === 0) return 0;
  if (a === b) return ONE;
  const quotient = (a * ONE) / b;
  const whole = Math.floor(quotient);
  if (whole !== quotient || BigInt(whole) * BigInt(b) <= BigInt(a) * WORD) return whole;
  return whole - 1;
}

/** A share as u16: floor(x · 65535), at most 65535. */
export function toU16(share: Fixed): number {
  return Math.min(U16_MAX, Math.floor((share * U16_MAX) / ONE));
}

/** The share that a u16 stores: x / 65535. */
export function fromU16(value: number): Fixed {
  return div(value, U16_MAX);
}

/** The sum, exact. */
export function sum(values: readonly Fixed[]): Fixed {
  return values.reduce((all, value) => all + value, 0);
}

/** Every value divided by their sum; zeros where the sum is 0. */
export function normalised(values: readonly Fixed[]): Fixed[] {
  const total = sum(values);
  return values.map((value) => div(value, total));
}

/**
 * Amounts as shares of their sum: divided with 64 fractional bits (I64F64), then truncated to 32, as stake is normalised.
 * Expects amounts from 0 whose sum is below 2^63.
 */
export function sharesOf(amounts: readonly bigint[]): Fixed[] {
  const total = amounts.reduce((all, amount) => all + amount, 0n);
  return amounts.map((amount) => (total === 0n ? 0 : Number(((amount << 64n) / total) >> 32n)));
}
