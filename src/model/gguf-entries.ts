// The metadata and the list of tensors at the beginning of a GGUF file, as bytes (github.com/ggml-org/ggml, docs/gguf.md, version 3).
import { utf8 } from '../protocol/hash.ts';

/** An entry of the metadata: key, type and value. */
export type GgufEntry =
  | readonly [key: string, type: 'u32' | 'f32', value: number]
  | readonly [key: string, type: 'bool', value: boolean]
  | readonly [key: string, type: 'string', value: string]
  | readonly [key: string, type: 'strings', value: readonly string[]]
  | readonly [key: string, type: 'i32s', value: readonly number[]];

/** A tensor of the list: its place is counted from the beginning of the tensors' bytes. */
export interface ListedTensor {
  readonly name: string;
  readonly dimensions: readonly number[];
  readonly type: number;
  readonly offset: number;
}

const MAGIC = 'GGUF';
const VERSION = 3;
const TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

/** Collects little-endian numbers and texts. */
class Bytes {
  #buffer = new Uint8Array(4096);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;

  #room(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#buffer.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#buffer);
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }

  byte(value: number): void {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
  }

  u32(value: number): void {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
  }

  i32(value: number): void {
    const at = this.#room(4);
    this.#view.setInt32(at, value, true);
  }

  f32(value: number): void {
    const at = this.#room(4);
    this.#view.setFloat32(at, value, true);
  }

  u64(value: number): void {
    const at = this.#room(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#buffer.set(bytes, at);
  }

  text(value: string): void {
    const bytes = utf8(value);
    this.u64(bytes.length);
    this.raw(bytes);
  }

  /** Everything, with zeros up to a multiple of `alignment`. */
  padded(alignment: number): Uint8Array {
    this.#room((alignment - (this.#length % alignment)) % alignment);
    return this.#buffer.subarray(0, this.#length);
  }
}

function writeEntry(bytes: Bytes, [key, type, value]: GgufEntry): void {
  bytes.text(key);
  if (type === 'strings' || type === 'i32s') {
    bytes.u32(TYPES.array);
    bytes.u32(type === 'strings' ? TYPES.string : TYPES.i32);
    bytes.u64(value.length);
    if (type === 'strings') for (const item of value) bytes.text(item);
    else for (const item of value) bytes.i32(item);
    return;
  }
  bytes.u32(TYPES[type]);
  if (type === 'string') bytes.text(value);
  else if (type === 'bool') bytes.byte(Number(value));
  else if (type === 'f32') bytes.f32(value);
  else bytes.u32(value);
}

/** Everything before the tensors' bytes. The same entries give the same bytes. */
export function ggufStart(
  entries: readonly GgufEntry[],
  tensors: readonly ListedTensor[],
  alignment: number,
): Uint8Array {
  const bytes = new Bytes();
  bytes.raw(utf8(MAGIC));
  bytes.u32(VERSION);
  bytes.u64(tensors.length);
  bytes.u64(entries.length);
  for (const entry of entries) writeEntry(bytes, entry);
  for (const { name, dimensions, type, offset } of tensors) {
    bytes.text(name);
    bytes.u32(dimensions.length);
    for (const size of dimensions) bytes.u64(size);
    bytes.u32(type);
    bytes.u64(offset);
  }
  return bytes.padded(alignment);
}
