// The header of a GGUF file (github.com/ggml-org/ggml, docs/gguf.md): metadata and the places of tensors. Files come from anybody: sizes are
// checked before anything is read or allocated, and whatever a loader in C would have to believe is refused unless it fits the file.
import { open } from 'node:fs/promises';
import { ModelError } from './errors.ts';
import { GGML_TYPES } from './gguf-types.ts';

const LIMITS = {
  file_bytes: 2 ** 40, // beyond what a device holds; keeps offsets far below 2^53
  header_bytes: 256 * 2 ** 20, // the largest vocabularies with merges take some 20 MB
  entries: 4096, // large models have some 60
  tensors: 100_000,
  dimensions: 4, // GGML_MAX_DIMS
  array_items: 4_194_304, // merges of the largest vocabularies are half a million
  key_bytes: 256,
  tensor_name_bytes: 64, // GGML_MAX_NAME
  alignment: 65_536,
} as const;

const FIRST_READ_BYTES = 64 * 1024;
const MAGIC = 0x46554747; // "GGUF" in little-endian
const DEFAULT_ALIGNMENT = 32;

export type GgufScalar = number | bigint | boolean | string;
export type GgufValue = GgufScalar | readonly GgufScalar[];

export interface GgufTensor {
  readonly name: string;
  /** ggml's name of it, such as q4_k. */
  readonly type: string;
  /** As ggml counts them: the first is the length of a row. */
  readonly dimensions: readonly number[];
  /** Where its bytes lie in the file. */
  readonly start: number;
  readonly end: number;
}

export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
}

const corrupt = (fact: string) => new ModelError('corrupt-file', `GGUF: ${fact}`);
const tooLarge = (fact: string) => new ModelError('too-large', `GGUF: ${fact}`);

/** The header goes on behind the bytes that were read. */
class NeedsMore {
  readonly bytes: number;

  constructor(bytes: number) {
    this.bytes = bytes;
  }
}

/** Reads numbers and texts of a header one after the other, and never behind the file's end. */
class Cursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #file_bytes: number;
  at = 0;

  constructor(bytes: Uint8Array, file_bytes: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#file_bytes = file_bytes;
  }

  /** Throws unless so many bytes are left in the file; NeedsMore where they were not read yet. */
  #take(length: number, what: string): number {
    const from = this.at;
    const end = from + length;
    if (end > this.#file_bytes) {
      throw corrupt(`${what} at ${from} takes ${length} bytes, the file ends at ${this.#file_bytes}`);
    }
    if (end > LIMITS.header_bytes) throw tooLarge(`a header of more than ${LIMITS.header_bytes} bytes`);
    if (end > this.#bytes.length) throw new NeedsMore(end);
    this.at = end;
    return from;
  }

  /** Throws unless `count` items of at least `bytes` each can follow. */
  mustFit(count: number, bytes: number, what: string): void {
    const left = this.#file_bytes - this.at;
    if (count * bytes > left) throw corrupt(`${what} are ${count}, but only ${left} bytes follow`);
  }

  u32(what: string): number {
    return this.#view.getUint32(this.#take(4, what), true);
  }

  u64(what: string): bigint {
    return this.#view.getBigUint64(this.#take(8, what), true);
  }

  /** A count that is far below 2^53. */
  count(what: string, limit: number): number {
    const count = this.u64(what);
    if (count > BigInt(limit)) throw tooLarge(`${what}: ${count}, at most ${limit}`);
    return Number(count);
  }

  text(what: string, limit: number = LIMITS.header_bytes): string {
    const length = this.count(`the length of ${what}`, limit);
    const from = this.#take(length, what);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        this.#bytes.subarray(from, from + length),
      );
    } catch {
      throw corrupt(`${what} is not UTF-8`);
    }
  }

  scalar(type: number, what: string): GgufScalar {
    const read = SCALARS.get(type);
    if (type === STRING) return this.text(what);
    if (!read) throw corrupt(`${what} has the type ${type}, which does not exist`);
    const value = read.read(this.#view, this.#take(read.bytes, what));
    if (type === BOOL && value !== 0 && value !== 1) throw corrupt(`${what} is ${value}, expected 0 or 1`);
    return type === BOOL ? value === 1 : value;
  }
}

const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

const SCALARS: ReadonlyMap<number, { bytes: number; read(view: DataView, at: number): number | bigint }> = new Map([
  [0, { bytes: 1, read: (view: DataView, at: number) => view.getUint8(at) }],
  [1, { bytes: 1, read: (view: DataView, at: number) => view.getInt8(at) }],
  [2, { bytes: 2, read: (view: DataView, at: number) => view.getUint16(at, true) }],
  [3, { bytes: 2, read: (view: DataView, at: number) => view.getInt16(at, true) }],
  [4, { bytes: 4, read: (view: DataView, at: number) => view.getUint32(at, true) }],
  [5, { bytes: 4, read: (view: DataView, at: number) => view.getInt32(at, true) }],
  [6, { bytes: 4, read: (view: DataView, at: number) => view.getFloat32(at, true) }],
  [BOOL, { bytes: 1, read: (view: DataView, at: number) => view.getUint8(at) }],
  [10, { bytes: 8, read: (view: DataView, at: number) => view.getBigUint64(at, true) }],
  [11, { bytes: 8, read: (view: DataView, at: number) => view.getBigInt64(at, true) }],
  [12, { bytes: 8, read: (view: DataView, at: number) => view.getFloat64(at, true) }],
]);

/** The fewest bytes of an item in a list. */
const fewestBytes = (type: number): number => (type === STRING ? 8 : (SCALARS.get(type)?.bytes ?? 1));

function readValue(cursor: Cursor, key: string): GgufValue {
  const type = cursor.u32(`the type of ${key}`);
  if (type !== ARRAY) return cursor.scalar(type, key);
  const item = cursor.u32(`the type of ${key}'s items`);
  // llama.cpp refuses lists of lists as well.
  if (item === ARRAY || (item !== STRING && !SCALARS.has(item))) throw corrupt(`${key} is a list of type ${item}`);
  const count = cursor.count(`the items of ${key}`, LIMITS.array_items);
  cursor.mustFit(count, fewestBytes(item), `the items of ${key}`);
  const items: GgufScalar[] = [];
  for (let i = 0; i < count; i++) items.push(cursor.scalar(item, `${key}[${i}]`));
  return items;
}

interface PlacedTensor {
  readonly name: string;
  readonly type: string;
  readonly dimensions: readonly number[];
  readonly bytes: number;
  /** From the beginning of the tensors' bytes. */
  readonly offset: number;
}

function readTensor(cursor: Cursor): PlacedTensor {
  const name = cursor.text("a tensor's name", LIMITS.tensor_name_bytes);
  const count = cursor.u32(`the dimensions of "${name}"`);
  if (count < 1 || count > LIMITS.dimensions) {
    throw corrupt(`"${name}" has ${count} dimensions, expected 1..${LIMITS.dimensions}`);
  }
  let values = 1;
  const dimensions: number[] = [];
  for (let i = 0; i < count; i++) {
    const size = cursor.count(`a dimension of "${name}"`, LIMITS.file_bytes);
    values *= size;
    if (size === 0 || values > LIMITS.file_bytes * 8)
      throw corrupt(`"${name}" has the dimensions ${dimensions}, ${size}`);
    dimensions.push(size);
  }
  const number = cursor.u32(`the type of "${name}"`);
  const type = GGML_TYPES.get(number);
  if (!type) throw new ModelError('unsupported', `GGUF: "${name}" is stored as type ${number}, which is not known`);
  if (dimensions[0] % type.block_values !== 0) {
    throw corrupt(
      `"${name}" has rows of ${dimensions[0]} values, ${type.name} needs multiples of ${type.block_values}`,
    );
  }
  const offset = cursor.count(`the place of "${name}"`, LIMITS.file_bytes);
  return { name, type: type.name, dimensions, bytes: (values / type.block_values) * type.block_bytes, offset };
}

/** Where each tensor lies: one behind the other in the order of the list, padded, up to the end of the file. */
function placed(
  tensors: readonly PlacedTensor[],
  data_start: number,
  alignment: number,
  file_bytes: number,
): GgufTensor[] {
  let next = 0;
  const result = tensors.map(({ bytes, offset, ...tensor }) => {
    if (offset !== next) throw corrupt(`"${tensor.name}" lies at ${offset} of the tensors' bytes, expected ${next}`);
    const start = data_start + offset;
    if (start + bytes > file_bytes) {
      throw corrupt(`"${tensor.name}" takes ${bytes} bytes at ${start}, the file ends at ${file_bytes}`);
    }
    next = padded(offset + bytes, alignment);
    return { ...tensor, start, end: start + bytes };
  });
  const end = result.at(-1)?.end ?? data_start;
  // A file of metadata alone may end before the padding.
  if (file_bytes > data_start + next) throw corrupt(`${file_bytes - end} bytes at the end belong to no tensor`);
  return result;
}

export const padded = (bytes: number, alignment: number): number => Math.ceil(bytes / alignment) * alignment;

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  const isPower = typeof alignment === 'number' && Number.isInteger(Math.log2(alignment));
  if (isPower && alignment >= 8 && alignment <= LIMITS.alignment) return alignment;
  throw corrupt(`general.alignment is ${alignment}, expected a power of two from 8 to ${LIMITS.alignment}`);
}

function parse(bytes: Uint8Array, file_bytes: number): GgufHeader {
  const cursor = new Cursor(bytes, file_bytes);
  if (cursor.u32('the magic number') !== MAGIC) throw corrupt('the file does not begin with "GGUF"');
  const version = cursor.u32('the version');
  if (version !== 2 && version !== 3) {
    throw new ModelError('unsupported', `GGUF: version ${version}, expected 2 or 3 in little-endian order`);
  }
  const tensor_count = cursor.count('tensors', LIMITS.tensors);
  const entries = cursor.count('metadata', LIMITS.entries);
  cursor.mustFit(entries, 13, 'entries of metadata');
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < entries; i++) {
    const key = cursor.text('a key', LIMITS.key_bytes);
    if (metadata.has(key)) throw corrupt(`the key ${key} occurs twice`);
    metadata.set(key, readValue(cursor, key));
  }
  cursor.mustFit(tensor_count, 32, 'tensors');
  const tensors: PlacedTensor[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensor_count; i++) {
    const tensor = readTensor(cursor);
    if (names.has(tensor.name)) throw corrupt(`the tensor "${tensor.name}" occurs twice`);
    names.add(tensor.name);
    tensors.push(tensor);
  }
  const alignment = alignmentOf(metadata);
  return { version, metadata, tensors: placed(tensors, padded(cursor.at, alignment), alignment, file_bytes) };
}

/**
 * Reads a header through `read`, which answers exactly the file's first bytes. More is asked for only while the header goes on.
 * Throws ModelError `corrupt-file`, `too-large`, `unsupported`, and what `read` throws.
 */
export async function ggufHeader(
  file_bytes: number,
  read: (length: number) => Promise<Uint8Array>,
): Promise<GgufHeader> {
  if (file_bytes > LIMITS.file_bytes) throw tooLarge(`${file_bytes} bytes, at most ${LIMITS.file_bytes}`);
  for (let length = Math.min(file_bytes, FIRST_READ_BYTES); ; ) {
    const bytes = await read(length);
    try {
      return parse(bytes, file_bytes);
    } catch (error) {
      if (!(error instanceof NeedsMore)) throw error;
      // Twice as much each time, so that parsing it again costs no more than parsing it once.
      length = Math.min(file_bytes, Math.max(error.bytes, 2 * length), LIMITS.header_bytes);
    }
  }
}

/** The header of a file on disk. Throws as ggufHeader, and ModelError `missing-file`. */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  const handle = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new ModelError('missing-file', `${path} cannot be read: ${error.code ?? error.message}`, { name: path });
  });
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new ModelError('missing-file', `${path} is not a file`, { name: path });
    const { size } = stats;
    return await ggufHeader(size, async (length) => {
      const { bytesRead, buffer } = await handle.read(new Uint8Array(length), 0, length, 0);
      if (bytesRead !== length) throw corrupt(`the file ended at ${bytesRead} bytes while it was read`);
      return buffer;
    });
  } finally {
    await handle.close();
  }
}
