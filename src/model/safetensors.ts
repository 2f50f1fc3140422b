// The safetensors format of Hugging Face: 8 bytes of header length, a JSON header, then raw little-endian tensors
// (https://huggingface.co/docs/safetensors, "Format"). Potluck writes in a fixed order, so that equal weights give equal bytes.
import { utf8 } from '../protocol/hash.ts';
import { type Dtype, widthOf } from './dtypes.ts';
import { ModelError } from './errors.ts';
import { duplicateKey } from './safetensors-json.ts';

/** The header limit of the reference implementation: a larger header is an attack on the JSON parser. */
const LIMIT_HEADER_BYTES = 100_000_000;
/** A model that an ordinary device can hold in float32; it also keeps every byte offset far below 2^53. */
const LIMIT_FILE_BYTES = 64 * 2 ** 30;
const LIMIT_TENSORS = 100_000;
const LIMIT_RANK = 8;
const ALIGNMENT = 8;
/** The length field before the header. */
export const PREFIX_BYTES = 8;
const METADATA = '__metadata__';

/** The readable dtypes: F16 and BF16 are subsets of float32, so nothing is lost. */
const READABLE: Readonly<Record<string, Dtype>> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };

const corrupt = (fact: string, details = {}) => new ModelError('corrupt-file', `safetensors: ${fact}`, details);

function elements(name: string, shape: readonly number[]): number {
  if (shape.length > LIMIT_RANK) {
    throw corrupt(`"${name}" has ${shape.length} dimensions, at most ${LIMIT_RANK} are read`, { name });
  }
  let count = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) throw corrupt(`"${name}" has the dimension ${size}`, { name });
    count *= size;
    if (count > LIMIT_FILE_BYTES) throw corrupt(`"${name}" has more elements than a file can hold`, { name });
  }
  return count;
}

/**
 * The length prefix and the padded JSON header for tensors laid out back to back in the given order.
 * The same list gives the same bytes on every machine, because JSON.stringify writes integers and strings in one way only.
 */
export function safetensorsHeader(
  tensors: readonly {
    readonly name: string;
    readonly dtype: Dtype;
    readonly shape: readonly number[];
  }[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const parts: string[] = [];
  const seen = new Set<string>([METADATA]);
  if (Object.keys(metadata).length > 0) parts.push(`${JSON.stringify(METADATA)}:${JSON.stringify(metadata)}`);
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    if (seen.has(name)) throw corrupt(`the name "${name}" is used twice or reserved`, { name });
    seen.add(name);
    const end = offset + elements(name, shape) * widthOf(dtype);
    const entry = { dtype: dtype.toUpperCase(), shape, data_offsets: [offset, end] };
    parts.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    offset = end;
  }
  const json = utf8(`{${parts.join(',')}}`);
  const padded = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT;
  const header = new Uint8Array(PREFIX_BYTES + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, PREFIX_BYTES);
  return header;
}

/** A tensor of a file: its name, dtype and shape, and where its bytes lie after the header. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

function parseEntry(name: string, value: unknown, data_bytes: number): HeaderEntry {
  const { dtype, shape, data_offsets } = (value ?? {}) as Record<string, unknown>;
  if (typeof dtype !== 'string' || !Array.isArray(shape) || !Array.isArray(data_offsets) || data_offsets.length !== 2) {
    throw corrupt(`"${name}" lacks a dtype, a shape or two data_offsets`, { name });
  }
  const readable = Object.hasOwn(READABLE, dtype) ? READABLE[dtype] : undefined;
  if (!readable) {
    const known = Object.keys(READABLE).join(', ');
    throw new ModelError('unsupported', `safetensors: "${name}" is ${dtype}, expected one of ${known}`, {
      name,
      dtype,
    });
  }
  const [start, end] = data_offsets;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start || end > data_bytes) {
    throw corrupt(`"${name}" lies at [${start}, ${end}] of ${data_bytes} data bytes`, { name });
  }
  const expected = elements(name, shape) * widthOf(readable);
  if (end - start !== expected) {
    throw corrupt(`"${name}" (${dtype} [${shape.join(', ')}]) needs ${expected} bytes and has ${end - start}`, {
      name,
    });
  }
  return { name, dtype: readable, shape, start, end };
}

/** The length of the header after `prefix`, in a file of so many bytes. Throws ModelError `corrupt-file`, `too-large`. */
export function headerLength(prefix: Uint8Array, file_bytes: number): number {
  if (prefix.length < PREFIX_BYTES) throw corrupt(`${prefix.length} bytes are too few for a header`);
  if (file_bytes > LIMIT_FILE_BYTES) {
    throw new ModelError('too-large', `safetensors: ${file_bytes} bytes in one file, at most ${LIMIT_FILE_BYTES}`);
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > BigInt(LIMIT_HEADER_BYTES)) {
    throw new ModelError(
      'too-large',
      `safetensors: a header of ${length} bytes, at most ${LIMIT_HEADER_BYTES} are read`,
    );
  }
  const header_bytes = Number(length);
  if (PREFIX_BYTES + header_bytes > file_bytes) {
    throw corrupt(`the header has ${header_bytes} bytes, the file ${file_bytes}`);
  }
  return header_bytes;
}

/**
 * The tensors that a header lists, in its order. Their bytes must cover all `data_bytes` after it exactly once.
 * Throws ModelError: `corrupt-file` (also for overlapping tensors and bytes that belong to none), `unsupported` (dtype), `too-large`.
 */
export function parseHeader(bytes: Uint8Array, data_bytes: number): HeaderEntry[] {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw corrupt('the header is not UTF-8');
  }
  try {
    header = JSON.parse(text);
  } catch {
    throw corrupt('the header is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw corrupt('the header is not an object');
  const duplicate = duplicateKey(text);
  if (duplicate !== null) throw corrupt(`the key "${duplicate}" occurs twice`, { name: duplicate });
  const named = Object.entries(header).filter(([name]) => name !== METADATA);
  if (named.length > LIMIT_TENSORS)
    throw new ModelError('too-large', `safetensors: ${named.length} tensors in one file`);
  const entries = named.map(([name, value]) => parseEntry(name, value, data_bytes));
  let covered = 0;
  for (const { name, start, end } of [...entries].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start !== covered) {
      const fact = start < covered ? 'overlaps the tensor before it' : 'leaves bytes that belong to no tensor';
      throw corrupt(`"${name}" at [${start}, ${end}] ${fact}`, { name });
    }
    covered = end;
  }
  if (covered !== data_bytes) throw corrupt(`the tensors cover ${covered} of ${data_bytes} data bytes`);
  return entries;
}
