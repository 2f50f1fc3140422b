// How GGUF stores a tensor's values: ggml's types, and the blocks of 32 weights with a scale (ggml/src/ggml-common.h, ggml-quants.c).
import { encodeValues } from './dtypes.ts';
import { ModelError } from './errors.ts';

/** A type of ggml: its number in a file, and the bytes that a block of so many values takes. */
export interface GgmlType {
  readonly name: string;
  readonly block_values: number;
  readonly block_bytes: number;
}

const type = (name: string, block_values: number, block_bytes: number): GgmlType => ({
  name,
  block_values,
  block_bytes,
});

/** All types that files have today. Numbers that are missing belong to types that were removed. */
export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map([
  [0, type('f32', 1, 4)],
  [1, type('f16', 1, 2)],
  [2, type('q4_0', 32, 18)],
  [3, type('q4_1', 32, 20)],
  [6, type('q5_0', 32, 22)],
  [7, type('q5_1', 32, 24)],
  [8, type('q8_0', 32, 34)],
  [9, type('q8_1', 32, 36)],
  [10, type('q2_k', 256, 84)],
  [11, type('q3_k', 256, 110)],
  [12, type('q4_k', 256, 144)],
  [13, type('q5_k', 256, 176)],
  [14, type('q6_k', 256, 210)],
  [15, type('q8_k', 256, 292)],
  [16, type('iq2_xxs', 256, 66)],
  [17, type('iq2_xs', 256, 74)],
  [18, type('iq3_xxs', 256, 98)],
  [19, type('iq1_s', 256, 50)],
  [20, type('iq4_nl', 32, 18)],
  [21, type('iq3_s', 256, 110)],
  [22, type('iq2_s', 256, 82)],
  [23, type('iq4_xs', 256, 136)],
  [24, type('i8', 1, 1)],
  [25, type('i16', 1, 2)],
  [26, type('i32', 1, 4)],
  [27, type('i64', 1, 8)],
  [28, type('f64', 1, 8)],
  [29, type('iq1_m', 256, 56)],
  [30, type('bf16', 1, 2)],
  [34, type('tq1_0', 256, 54)],
  [35, type('tq2_0', 256, 66)],
  [39, type('mxfp4', 32, 17)],
]);

/** What Potluck writes: exact, in halves, or as blocks of 32 weights with a scale. */
export const WRITTEN_TYPES = ['f32', 'f16', 'q8_0', 'q4_0'] as const;
export type WrittenType = (typeof WRITTEN_TYPES)[number];

const BLOCK = 32;
/** Bytes of a block's scale, before its weights. */
export const SCALE_BYTES = 2;
const NUMBERS = new Map([...GGML_TYPES].map(([number, { name }]) => [name, number]));

export const ggmlNumber = (name: WrittenType): number => NUMBERS.get(name)!;

/** What a tensor is stored as: vectors exactly, and matrices whose rows are no whole blocks in halves, as llama.cpp does it. */
export function storedType(shape: readonly number[], wanted: WrittenType): WrittenType {
  if (shape.length < 2) return 'f32';
  const isBlocked = wanted === 'q8_0' || wanted === 'q4_0';
  return isBlocked && shape.at(-1)! % BLOCK !== 0 ? 'f16' : wanted;
}

/** The bytes of so many values; a blocked type takes whole blocks. */
export function storedBytes(name: WrittenType, values: number): number {
  const { block_values, block_bytes } = GGML_TYPES.get(ggmlNumber(name))!;
  return (values / block_values) * block_bytes;
}

/** The bytes of finite values. f32 may share their memory. Throws ModelError `wrong-weights` for values beyond halves. */
export function encodeStored(name: WrittenType, values: Float32Array): Uint8Array {
  if (name === 'f32') return encodeValues('f32', values);
  if (name === 'f16') return encodeHalves(values);
  const bytes = new Uint8Array(storedBytes(name, values.length));
  const encode = name === 'q8_0' ? encodeEights : encodeFours;
  const { block_bytes } = GGML_TYPES.get(ggmlNumber(name))!;
  for (let at = 0, byte = 0; at < values.length; at += BLOCK, byte += block_bytes) encode(values, at, bytes, byte);
  return bytes;
}

function encodeHalves(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.length * 2);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint16(i * 2, halfBits(value), true);
  return bytes;
}

const half = new Float16Array(1);
const halfWord = new Uint16Array(half.buffer);

/** A scale or a weight in 16 bits. */
function halfBits(value: number): number {
  half[0] = value;
  if (Number.isFinite(half[0])) return halfWord[0];
  throw new ModelError('wrong-weights', `GGUF: ${value} is too large for 16 bits; export it as f32`);
}

function writeHalf(bytes: Uint8Array, byte: number, value: number): void {
  const bits = halfBits(value);
  bytes[byte] = bits;
  bytes[byte + 1] = bits >> 8;
}

const { fround } = Math;

/** quantize_row_q8_0_ref: a scale, then 32 integers of 8 bits. */
function encodeEights(values: Float32Array, at: number, bytes: Uint8Array, byte: number): void {
  let largest = 0;
  for (let i = 0; i < BLOCK; i++) {
    const size = Math.abs(values[at + i]);
    if (size > largest) largest = size;
  }
  const scale = fround(largest / 127);
  const inverse = scale === 0 ? 0 : fround(1 / scale);
  writeHalf(bytes, byte, scale);
  for (let i = 0; i < BLOCK; i++) {
    const scaled = fround(values[at + i] * inverse);
    // C's roundf, halves away from zero: the size without its fraction, and −1 where it is at least 1 and negative. A branch would be guessed wrong.
    const size = (Math.abs(scaled) + 0.5) | 0;
    const sign = ((scaled * 2) | 0) >> 31;
    bytes[byte + SCALE_BYTES + i] = (size ^ sign) - sign;
  }
}

/** quantize_row_q4_0_ref: a scale, then 32 integers of 4 bits; the value of largest magnitude becomes −8. */
function encodeFours(values: Float32Array, at: number, bytes: Uint8Array, byte: number): void {
  let extreme = 0;
  for (let i = 0; i < BLOCK; i++) if (Math.abs(values[at + i]) > Math.abs(extreme)) extreme = values[at + i];
  const scale = fround(extreme / -8);
  const inverse = scale === 0 ? 0 : fround(1 / scale);
  writeHalf(bytes, byte, scale);
  const level = (value: number): number => Math.min(15, fround(fround(value * inverse) + 8.5) | 0);
  for (let i = 0; i < BLOCK / 2; i++) {
    bytes[byte + SCALE_BYTES + i] = level(values[at + i]) | (level(values[at + BLOCK / 2 + i]) << 4);
  }
}
