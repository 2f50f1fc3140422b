// The exponential function in integers: the same bits on every machine, which Math.exp does not promise.
import type { Fixed } from './fixed-point.ts';

/** Bits behind the point while computing: 48 more than the result has. */
const PRECISION = 80n;
const UNIT = 1n << PRECISION;

/** Beyond e^21.4 an I32F32 overflows; a logistic function is 0 or 1 to eight digits long before. */
const LARGEST = 20;
const LIMIT: Fixed = LARGEST * 2 ** 32;

/** e^(byte · 2^-8(k+1)) for the k-th byte of a fraction, and e^n for whole n from -20 to 20; made when first needed. */
interface Tables {
  readonly bytes: readonly (readonly bigint[])[];
  readonly whole: readonly bigint[];
}
let tables: Tables | null = null;

/**
 * e^x, rounded down to 32 fractional bits, as an integer of 2^-32. `x` counts units of 2^-32 and is first held within -20 … 20.
 * Error: less than one unit. (Internally less than 2^-48; where the true value lies nearer than that above a
 * multiple of 2^-32, the result may be the unit below.) Integers only.
 */
export function exp(x: Fixed): bigint {
  const held = Math.max(-LIMIT, Math.min(LIMIT, x));
  tables ??= makeTables();
  const whole = Math.floor(held / 2 ** 32);
  const fraction = held - whole * 2 ** 32;
  let result = tables.whole[whole + LARGEST];
  for (let k = 0; k < 4; k++) {
    const byte = Math.floor(fraction / 2 ** (24 - 8 * k)) % 256;
    if (byte > 0) result = (result * tables.bytes[k][byte]) >> PRECISION;
  }
  return result >> (PRECISION - 32n);
}

function makeTables(): Tables {
  const e = taylor(UNIT);
  const up = [UNIT];
  for (let n = 1; n <= LARGEST; n++) up.push((up[n - 1] * e) >> PRECISION);
  const down = up.slice(1).map((power) => (UNIT * UNIT) / power);
  const bytes = [0, 1, 2, 3].map((k) =>
    Array.from({ length: 256 }, (_, byte) => taylor((BigInt(byte) * UNIT) >> BigInt(8 * (k + 1)))),
  );
  return { bytes, whole: [...down.reverse(), ...up] };
}

/** 1 + x + x²/2! + …, for 0 ≤ x ≤ 1, until the terms vanish. */
function taylor(x: bigint): bigint {
  let result = UNIT;
  let term = UNIT;
  for (let i = 1n; term > 0n; i++) {
    term = ((term * x) >> PRECISION) / i;
    result += term;
  }
  return result;
}
