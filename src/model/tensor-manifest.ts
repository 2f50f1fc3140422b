// A model as a manifest: its tensors in order, and the hashes of the parts that hold their bytes. The manifest's own SHA-256 is the model's
// name in the network, so anybody with the name can fetch and verify the model part by part, and nobody must hold it as one blob.
//
// Which bytes a part contains follows from the tensors alone, so parts cannot overlap, leave gaps or claim another size.
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { HASH_FORM } from '../protocol/hash.ts';
import { decodeStrictMap, type EventValue } from '../protocol/strict-cbor.ts';
import { encodeStrict } from '../protocol/strict-cbor-encode.ts';
import { sizeOf } from '../tensor/shape.ts';
import { DTYPES, type Dtype, widthOf } from './dtypes.ts';
import { ModelError } from './errors.ts';

/** The most bytes of a part: a second on a fast home line, so that little is fetched again after a broken connection. Every dtype's width divides it. */
export const PART_BYTES = 16 * 2 ** 20;
/** More than the largest open models have. */
const MOST_TENSORS = 100_000;
const MOST_RANK = 8;
const MOST_NAME_CHARACTERS = 256;
/** The same limit as for safetensors files; such a model's manifest has 4,096 hashes. */
const MOST_MODEL_BYTES = 64 * 2 ** 30;
const VERSION = 1;
const HASH_BYTES = 32;

/** A stored tensor. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

export interface ModelManifest {
  readonly tensors: readonly TensorSpec[];
  /** The SHA-256 of each part; `partsOf` gives their number. */
  readonly parts: readonly string[];
}

/** Values of one tensor within a part. */
export interface Piece {
  /** Its index among the tensors. */
  readonly tensor: number;
  /** The index of its first value in the flat tensor, and the number of values. */
  readonly from: number;
  readonly values: number;
  readonly size_bytes: number;
}

export interface Part {
  readonly size_bytes: number;
  /** In order, without a gap. */
  readonly pieces: readonly Piece[];
}

/**
 * How tensors are divided into parts: a tensor larger than a part is cut into parts of its own, the last one shorter; consecutive smaller
 * ones share a part as long as they fit. So every tensor that is large enough to matter begins and ends with a part.
 */
export function partsOf(tensors: readonly TensorSpec[]): Part[] {
  const parts: { size_bytes: number; pieces: Piece[] }[] = [];
  let open: (typeof parts)[number] | null = null;
  tensors.forEach(({ dtype, shape }, tensor) => {
    const width = widthOf(dtype);
    const values = sizeOf(shape);
    const size_bytes = values * width;
    if (open && open.size_bytes + size_bytes <= PART_BYTES) {
      open.pieces.push({ tensor, from: 0, values, size_bytes });
      open.size_bytes += size_bytes;
      return;
    }
    open = null;
    const most = PART_BYTES / width;
    for (let from = 0; from < values; from += most) {
      const count = Math.min(most, values - from);
      parts.push({ size_bytes: count * width, pieces: [{ tensor, from, values: count, size_bytes: count * width }] });
    }
    if (size_bytes <= PART_BYTES) open = parts.at(-1)!;
  });
  return parts;
}

/** The canonical encoding: deterministic DAG-CBOR {parts, tensors: [[name, dtype, shape], …], version}. Throws as decodeModelManifest does. */
export function encodeModelManifest({ tensors, parts }: ModelManifest): Uint8Array {
  checkTensors(tensors);
  checkParts(tensors, parts.length);
  for (const hash of parts)
    if (!HASH_FORM.test(hash)) throw bad(`expected a part's SHA-256, got "${hash.slice(0, 80)}"`);
  return encodeStrict({
    version: VERSION,
    tensors: tensors.map(({ name, dtype, shape }) => [name, dtype, shape]),
    parts: parts.map((hash) => hexToBytes(hash)),
  });
}

/**
 * Decodes a manifest; the caller, who fetched it, compares its hash.
 * Throws ModelError: `bad-manifest` (not deterministic DAG-CBOR of this form, repeated names, shapes without values), `unsupported`
 * (an unknown version or dtype), `too-large`, `wrong-parts` (another number than the tensors fill).
 */
export function decodeModelManifest(bytes: Uint8Array): ModelManifest {
  // MOST_MODEL_BYTES and MOST_TENSORS bound a manifest to the size of a part.
  if (bytes.length > PART_BYTES) throw tooLarge(`${bytes.length} bytes, at most ${PART_BYTES} are read`);
  const { version, tensors, parts, ...rest } = decodeStrictMap(bytes, bad);
  if (version !== VERSION) {
    throw new ModelError('unsupported', `manifest: expected version ${VERSION}, got ${JSON.stringify(version)}`);
  }
  const [extra] = Object.keys(rest);
  if (extra !== undefined) throw bad(`expected parts, tensors and version, got "${extra}" as well`);
  if (!Array.isArray(tensors) || !Array.isArray(parts)) throw bad('expected lists of tensors and of parts');
  const read = { tensors: tensors.map(tensorOf), parts: parts.map(hashOf) };
  checkTensors(read.tensors);
  checkParts(read.tensors, read.parts.length);
  return read;
}

function tensorOf(value: EventValue, at: number): TensorSpec {
  if (!Array.isArray(value) || value.length !== 3) throw bad(`tensor ${at}: expected a name, a dtype and a shape`);
  const [name, dtype, shape] = value as EventValue[];
  if (typeof name !== 'string') throw bad(`tensor ${at}: expected a name`);
  if (!DTYPES.some((known) => known === dtype)) {
    const fact = `manifest: "${name}" is ${JSON.stringify(dtype)}, expected one of ${DTYPES.join(', ')}`;
    throw new ModelError('unsupported', fact, { name });
  }
  if (!Array.isArray(shape) || shape.some((size) => typeof size !== 'number')) throw bad(`"${name}": expected a shape`);
  return { name, dtype: dtype as Dtype, shape: shape as number[] };
}

function hashOf(value: EventValue, at: number): string {
  if (value instanceof Uint8Array && value.length === HASH_BYTES) return bytesToHex(value);
  throw bad(`part ${at}: expected a SHA-256 of ${HASH_BYTES} bytes`);
}

/** Checks that names are unique, and that shapes have values whose bytes can be counted. */
function checkTensors(tensors: readonly TensorSpec[]): void {
  if (tensors.length === 0) throw bad('expected a tensor, got none');
  if (tensors.length > MOST_TENSORS) throw tooLarge(`${tensors.length} tensors, at most ${MOST_TENSORS} are read`);
  const names = new Set<string>();
  let size_bytes = 0;
  for (const { name, dtype, shape } of tensors) {
    if (name.length === 0 || name.length > MOST_NAME_CHARACTERS || names.has(name)) {
      const fact = `expected names of 1 to ${MOST_NAME_CHARACTERS} characters, each once, got "${name.slice(0, 80)}"`;
      throw bad(names.has(name) ? `${fact} twice` : fact);
    }
    names.add(name);
    if (shape.length > MOST_RANK) throw tooLarge(`"${name}" has ${shape.length} dimensions, at most ${MOST_RANK}`);
    let values = 1;
    for (const size of shape) {
      if (!Number.isSafeInteger(size) || size < 1) throw bad(`"${name}" has the dimension ${size}`);
      values *= size;
      // Checked before the next multiplication, so that no product of two such numbers is rounded.
      if (values > MOST_MODEL_BYTES) break;
    }
    size_bytes += values * widthOf(dtype);
    if (size_bytes > MOST_MODEL_BYTES) throw tooLarge(`more than ${MOST_MODEL_BYTES} bytes up to "${name}"`);
  }
}

function checkParts(tensors: readonly TensorSpec[], count: number): void {
  const expected = partsOf(tensors).length;
  if (count === expected) return;
  throw new ModelError('wrong-parts', `manifest: its tensors fill ${expected} parts, got ${count}`, {
    expected,
    count,
  });
}

const bad = (fact: string): ModelError => new ModelError('bad-manifest', `manifest: ${fact}`);
const tooLarge = (fact: string): ModelError => new ModelError('too-large', `manifest: ${fact}`);
