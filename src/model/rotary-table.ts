// The angles of rotary position embedding (RoPE, arXiv 2104.09864) as Hugging Face computes them, with the same bits on every machine.
// Engines differ in the last bits of Math.sin, Math.exp and Math.pow, but not in sums and products of doubles (IEEE 754).
import type { LlamaConfig, RopeScaling } from './config.ts';

const LN2_HIGH = 0.6931471803691238; // ln 2 in two parts (fdlibm): k · LN2_HIGH is exact for small k
const LN2_LOW = 1.9082149292705877e-10;
const HALF_PI_HIGH = 1.5707963267341256; // π/2 in three parts of 33 bits (fdlibm, Cody and Waite)
const HALF_PI_MIDDLE = 6.077100506303966e-11;
const HALF_PI_LOW = 2.0222662487959506e-21;
const TERMS = 24; // of each series: the last term is below 2^-60 on the reduced range

/** Natural logarithm of a positive double, by halving into [1/√2, √2) and the series of artanh. */
export function naturalLogarithm(x: number): number {
  let exponent = 0;
  let mantissa = x;
  for (; mantissa >= Math.SQRT2; mantissa /= 2) exponent++;
  for (; mantissa < Math.SQRT1_2; mantissa *= 2) exponent--;
  const t = (mantissa - 1) / (mantissa + 1);
  let sum = 0;
  for (let i = TERMS; i >= 0; i--) sum = sum * t * t + 1 / (2 * i + 1);
  return exponent * LN2_HIGH + (exponent * LN2_LOW + 2 * t * sum);
}

/** e^x for |x| below 700, by reduction modulo ln 2 and Taylor's series. */
export function exponential(x: number): number {
  const k = Math.round(x / (LN2_HIGH + LN2_LOW));
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  let sum = 1;
  for (let i = TERMS; i >= 1; i--) sum = 1 + (sum * r) / i;
  return sum * 2 ** k;
}

/** Sine and cosine of an angle in radians, |x| below 2^20, by reduction modulo π/2 and Taylor's series. */
export function sineCosine(x: number): { sine: number; cosine: number } {
  const k = Math.round(x / (HALF_PI_HIGH + HALF_PI_MIDDLE));
  const r = x - k * HALF_PI_HIGH - k * HALF_PI_MIDDLE - k * HALF_PI_LOW;
  let sine = 1;
  let cosine = 1;
  for (let i = TERMS; i >= 2; i -= 2) {
    sine = 1 - (sine * r * r) / (i * (i + 1));
    cosine = 1 - (cosine * r * r) / (i * (i - 1));
  }
  sine *= r;
  const quadrant = ((k % 4) + 4) % 4;
  if (quadrant === 0) return { sine, cosine };
  if (quadrant === 1) return { sine: cosine, cosine: -sine };
  if (quadrant === 2) return { sine: -sine, cosine: -cosine };
  return { sine: -cosine, cosine: sine };
}

/** Cosines and signed sines of positions `first` … `first + positions - 1`, row-major [positions, head_dim], times `scale`. */
export interface RotaryTable {
  readonly cosine: Float32Array;
  /** −sin in the first half of each row, +sin in the second: rotate_half(x) · sin = swapped halves of x · this. */
  readonly sine: Float32Array;
}

/** What determines the angles of a head. */
export type RotaryConfig = Pick<LlamaConfig, 'head_dim' | 'rope_theta' | 'rope_scaling'>;

const f32 = Math.fround;

/** The frequencies of the pairs of a head, rounded to float32 exactly where transformers rounds them. */
function rotaryFrequencies({ head_dim, rope_theta, rope_scaling }: RotaryConfig): number[] {
  const logTheta = naturalLogarithm(rope_theta);
  return Array.from({ length: head_dim / 2 }, (_, i) => {
    const frequency = f32(1 / f32(exponential(f32((2 * i) / head_dim) * logTheta)));
    return rope_scaling === null ? frequency : scaledFrequency(frequency, rope_scaling);
  });
}

/** transformers' _compute_linear_scaling_rope_parameters and _compute_llama3_parameters, for one frequency. */
function scaledFrequency(frequency: number, scaling: RopeScaling): number {
  const slower = f32(frequency / f32(scaling.factor));
  if (scaling.rope_type === 'linear') return slower;
  const { low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original } = scaling;
  const wavelength = f32(f32(2 * Math.PI) / frequency);
  if (wavelength < f32(original / high)) return frequency;
  if (wavelength > f32(original / low)) return slower;
  const smooth = f32(f32(f32(original / wavelength) - f32(low)) / f32(high - low));
  return f32(f32(f32(f32(1 - smooth) * frequency) / f32(scaling.factor)) + f32(smooth * frequency));
}

/** The table for one head. Angles are rounded to float32 exactly where transformers rounds them. */
export function rotaryTable(positions: number, config: RotaryConfig, scale = 1, first = 0): RotaryTable {
  const { head_dim } = config;
  const cosine = new Float32Array(positions * head_dim);
  const sine = new Float32Array(positions * head_dim);
  const half = head_dim / 2;
  for (const [i, frequency] of rotaryFrequencies(config).entries()) {
    for (let row = 0; row < positions; row++) {
      const angle = sineCosine(Math.fround((first + row) * frequency));
      const at = row * head_dim + i;
      cosine[at] = cosine[at + half] = Math.fround(angle.cosine) * scale;
      sine[at + half] = Math.fround(angle.sine) * scale;
      sine[at] = -sine[at + half];
    }
  }
  return { cosine, sine };
}
