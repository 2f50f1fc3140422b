// The stored form of a tensor's values, and their conversion to float32, in which everything is computed. Always little-endian.
import { ModelError } from './errors.ts';

/** f16, bf16 and the integers of i8 are subsets of float32, so the conversion loses nothing. */
export const DTYPES = ['f32', 'bf16', 'f16', 'i8'] as const;
export type Dtype = (typeof DTYPES)[number];

const WIDTHS: Readonly<Record<Dtype, number>> = { f32: 4, bf16: 2, f16: 2, i8: 1 };

/** Bytes of one value. */
export const widthOf = (dtype: Dtype): number => WIDTHS[dtype];

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
  const at = values.findIndex((value, i) => !Object.is(value, back[i]));
  if (at < 0) return bytes;
  throw new ModelError('wrong-weights', `value ${at} is ${values[at]}, which ${dtype} cannot hold`, { index: at });
}

const asIntegers = (values: Float32Array): Uint8Array => new Uint8Array(Int8Array.from(values).buffer);

const asHalves = (values: Float32Array): Uint8Array => new Uint8Array(Float16Array.from(values).buffer);

function upperHalves(values: Float32Array): Uint8Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return new Uint8Array(Uint16Array.from(words, (word) => word >>> 16).buffer);
}
