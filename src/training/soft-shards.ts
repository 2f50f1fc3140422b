// What a teacher says of the tokens of a shard: for each token the likeliest tokens at its place, in a blob beside the shard's (arXiv 1503.02531).
import { exponential } from '../model/rotary-table.ts';
import { DataError } from './corpus-errors.ts';
import type { SoftBatch } from './inner.ts';
import { ARRAYS } from './token-store.ts';

/** As many as the APIs of teachers give. */
export const LIMIT_TOP = 20;

/** "PLTD", the version, the bytes of a token, the number of likeliest tokens, a zero byte, the count of rows (uint32, little-endian), four zero bytes. */
const MAGIC = [0x50, 0x4c, 0x54, 0x44];
const VERSION = 1;
const HEADER_BYTES = 16;

/** A probability p is stored as round(-ln p · 2048): steps of half a thousandth, down to e⁻³². */
const STEPS_PER_NAT = 2048;
const NONE = 65_535;
/** Probabilities are rounded, and so is what APIs print of them. */
const MOST_PROBABILITY = 1.02;

/** A token and the natural logarithm of its probability. */
export type Likely = readonly [id: number, logprob: number];

/** The likeliest tokens at each place of a shard; a place without any teaches its own token alone. */
export interface SoftRows {
  readonly top: number;
  /** [count, top]. */
  readonly ids: Uint8Array | Uint16Array | Uint32Array;
  /** [count, top]; NONE after the last of a row. */
  readonly codes: Uint16Array;
}

/** Of more likely tokens than `top` the likeliest are kept. The order of a row's equal probabilities is that of their ids. */
export function encodeSoftRows(rows: readonly (readonly Likely[])[], top: number, token_bytes: 1 | 2 | 4): Uint8Array {
  const values = rows.length * top;
  const bytes = new Uint8Array(HEADER_BYTES + values * (token_bytes + 2));
  bytes.set([...MAGIC, VERSION, token_bytes, top]);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, rows.length, true);
  const codesAt = HEADER_BYTES + values * token_bytes;
  for (const [row, likely] of rows.entries()) {
    const kept = likely.toSorted((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, top);
    for (let i = 0; i < top; i++) {
      const at = row * top + i;
      const [id, logprob] = kept[i] ?? [0, null];
      const to = HEADER_BYTES + at * token_bytes;
      if (token_bytes === 1) bytes[to] = id;
      else if (token_bytes === 2) view.setUint16(to, id, true);
      else view.setUint32(to, id, true);
      view.setUint16(codesAt + 2 * at, logprob === null ? NONE : codeOf(logprob), true);
    }
  }
  return bytes;
}

const codeOf = (logprob: number): number => Math.min(NONE - 1, Math.max(0, Math.round(-logprob * STEPS_PER_NAT)));

const corrupt = (fact: string) => new DataError('corrupt-data', `soft targets: ${fact}`);

/** What a blob must agree with. */
export interface SoftForm {
  readonly vocab_size: number;
  readonly token_bytes: 1 | 2 | 4;
  readonly top: number;
  /** The tokens of the shard. */
  readonly tokens: number;
}

/**
 * The rows of a blob. Throws DataError `corrupt-data` where its header or length is not that of `form`, where a token is outside the
 * vocabulary or follows the last of its row, and where a row's probabilities sum to more than 1. The caller checks the hash.
 */
export function decodeSoftRows(bytes: Uint8Array, { vocab_size, token_bytes, top, tokens }: SoftForm): SoftRows {
  const values = tokens * top;
  const expected = HEADER_BYTES + values * (token_bytes + 2);
  const header = [...MAGIC, VERSION, token_bytes, top, 0];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fits =
    bytes.length === expected &&
    header.every((value, at) => bytes[at] === value) &&
    view.getUint32(8, true) === tokens &&
    view.getUint32(12, true) === 0;
  if (!fits) {
    throw corrupt(
      `expected ${tokens} rows of ${top} tokens of ${token_bytes} bytes each, ${expected} bytes, got ${bytes.length}`,
    );
  }
  // Copied, because the values may lie at odd addresses.
  const ids = new ARRAYS[token_bytes](bytes.slice(HEADER_BYTES, HEADER_BYTES + values * token_bytes).buffer);
  const codes = new Uint16Array(bytes.slice(HEADER_BYTES + values * token_bytes).buffer);
  for (let row = 0; row < tokens; row++) {
    let sum = 0;
    for (let at = row * top; at < (row + 1) * top; at++) {
      if (ids[at] >= vocab_size) throw corrupt(`token ${ids[at]} in row ${row}, the vocabulary has ${vocab_size}`);
      if (codes[at] === NONE) continue;
      if (at > row * top && codes[at - 1] === NONE) throw corrupt(`row ${row} has a token behind its last`);
      sum += probability(codes[at]);
    }
    if (sum > MOST_PROBABILITY) throw corrupt(`the probabilities of row ${row} sum to ${sum.toFixed(3)}`);
  }
  return { top, ids, codes };
}

let probabilities: Float64Array | undefined;

/** The probability of a code, with the same bits on every machine: judges repeat what workers learned from it. */
function probability(code: number): number {
  probabilities ??= Float64Array.from({ length: NONE }, (_, i) => exponential(-i / STEPS_PER_NAT));
  return probabilities[code];
}

/** The distributions of some windows: the part `weight` is the teacher's, scaled to sum to 1, the rest the target's own. */
export function softBatch(
  windows: readonly { readonly tokens: ArrayLike<number>; readonly soft: SoftRows; readonly offset: number }[],
  context: number,
  weight: number,
): SoftBatch {
  const top = windows[0].soft.top;
  const width = top + 1;
  const ids = new Int32Array(windows.length * context * width);
  const weights = new Float32Array(ids.length);
  let to = 0;
  for (const { tokens, soft, offset } of windows) {
    for (let place = offset + 1; place <= offset + context; place++, to += width) {
      ids[to] = tokens[place];
      let sum = 0;
      let count = 0;
      for (; count < top && soft.codes[place * top + count] !== NONE; count++) {
        sum += probability(soft.codes[place * top + count]);
      }
      weights[to] = sum > 0 ? 1 - weight : 1;
      for (let i = 0; i < count; i++) {
        ids[to + 1 + i] = soft.ids[place * top + i];
        weights[to + 1 + i] = (weight * probability(soft.codes[place * top + i])) / sum;
      }
    }
  }
  return { ids, weights };
}
