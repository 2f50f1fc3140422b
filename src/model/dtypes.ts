// The stored form of a tensor's values, and their conversion to float32, in which everything is computed. Always little-endian.
import type { Weights } from './config.ts';
import { ModelError } from './errors.ts';

/** f16, bf16 and the integers of i8 are subsets of float32, so the conversion loses nothing. */
export const DTYPES = ['f32', 'bf16', 'f16', 'i8'] as const;
export type Dtype = (typeof DTYPES)[number];

const WIDTHS: Readonly<Record<Dtype, number>> = { f32: 4, bf16: 2, f16: 2, i8: 1 };

/** Bytes of one value. */
export const widthOf = (dtype: Dtype): number => WIDTHS[dtype];

/** What a run may keep its model in: each merge is rounded to it. */
export const ROUNDED_DTYPES = ['f32', 'bf16', 'f16'] as const;
export type RoundedDtype = (typeof ROUNDED_DTYPES)[number];

/** The largest finite numbers: what is beyond them becomes them. */
const LARGEST_HALF = 65_504;
const LARGEST_BFLOAT_WORD = 0x7f7f_0000;

const scratch = new Float32Array(1);
const scratchWord = new Uint32Array(scratch.buffer);

/**
 * The nearest number that a dtype holds to a finite float32, of two the even one: the same on every machine, by integers (bf16) or as
 * ECMAScript says to the last bit (f16).
 */
export function rounded(dtype: RoundedDtype, value: number): number {
  if (dtype === 'f32') return value;
  if (dtype === 'f16') return Math.f16round(Math.max(-LARGEST_HALF, Math.min(LARGEST_HALF, value)));
  scratch[0] = value;
  const word = scratchWord[0];
  const magnitude = word & 0x7fff_ffff;
  const nearest = (magnitude + 0x7fff + ((magnitude >>> 16) & 1)) & 0xffff_0000;
  scratchWord[0] = ((word & 0x8000_0000) | Math.min(nearest >>> 0, LARGEST_BFLOAT_WORD)) >>> 0;
  return scratch[0];
}

/** A model as a run keeps it from its beginning; the same arrays where that is float32. */
export function roundedWeights(dtype: RoundedDtype, weights: Weights): Weights {
  if (dtype === 'f32') return weights;
  return new Map(Array.from(weights, ([name, values]) => [name, values.map((value) => rounded(dtype, value))]));
}

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** A copy of little-endian words in this machine's byte order, aligned for a typed array. */
function ordered(raw: Uint8Array, word_bytes: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(raw);
  if (!LITTLE_ENDIAN) for (let i = 0; i < copy.length; i += word_bytes) copy.subarray(i, i + word_bytes).reverse();
  return copy;
}

/** The values in float32, in newly allocated memory. The length of `bytes` must be a multiple of the dtype's width. */
export function decodeValues(dtype: Dtype, bytes: Uint8Array): Float32Array {
  if (dtype === 'f32') return new Float32Array(ordered(bytes, 4).buffer);
  if (dtype === 'f16') return Float32Array.from(new Float16Array(ordered(bytes, 2).buffer));
  if (dtype === 'i8') return Float32Array.from(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  // bfloat16 is the upper half of a float32.
  const halves = new Uint16Array(ordered(bytes, 2).buffer);
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = halves[i] << 16;
  return new Float32Array(words.buffer);
}

/**
 * Encodes float32 values. The result of f32 may share memory with `values`; every other dtype gives a copy, and accepts only values that it
 * represents exactly. Throws ModelError `wrong-weights` for another value.
 */
export function encodeValues(dtype: Dtype, values: Float32Array): Uint8Array {
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (dtype === 'f32') return LITTLE_ENDIAN ? raw : ordered(raw, 4);
  const bytes =
    dtype === 'i8' ? asIntegers(values) : ordered(dtype === 'f16' ? asHalves(values) : upperHalves(values), 2);
  const back = decodeValues(dtype, bytes);
  const at = firstOther(values, back);
  if (at < 0) return bytes;
  throw new ModelError('wrong-weights', `value ${at} is ${values[at]}, which ${dtype} cannot hold`, { index: at });
}

/** Where two arrays of one length differ first; -1: nowhere. A loop: by a callback a value it takes four times as long. */
function firstOther(values: Float32Array, others: Float32Array): number {
  for (let i = 0; i < values.length; i++) if (!Object.is(values[i], others[i])) return i;
  return -1;
}

const asIntegers = (values: Float32Array): Uint8Array => new Uint8Array(Int8Array.from(values).buffer);

const asHalves = (values: Float32Array): Uint8Array => new Uint8Array(Float16Array.from(values).buffer);

function upperHalves(values: Float32Array): Uint8Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(words.length);
  for (let i = 0; i < words.length; i++) halves[i] = words[i] >>> 16;
  return new Uint8Array(halves.buffer);
}
