// The rotated keys and the values of sequences, in the layout that the decode graph multiplies with: memory grows with what is held.
import type { LlamaConfig } from './config.ts';

/** Positions are added in blocks: vector units take 16 at once, and copying a cache into a larger one is worth it for many. */
const BLOCK = 64;
/** A cache that is full becomes larger by half, so that all copies together cost a constant number of copies of each position. */
const GROWTH = 1.5;

export type CacheShape = Pick<LlamaConfig, 'num_hidden_layers' | 'num_key_value_heads' | 'head_dim'>;

/** Zeros, in shared memory where there is such: a worker then reads them in place. */
export function floats(length: number): Float32Array {
  if (typeof SharedArrayBuffer !== 'function') return new Float32Array(length);
  return new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT));
}

interface Layer {
  /** [sequences, kv_heads, head_dim, held]. */
  readonly keys: Float32Array;
  /** [sequences, kv_heads, held, head_dim]. */
  readonly values: Float32Array;
}

/** A cache for one or several sequences of up to `held` positions each. */
export class KeyValueCache {
  readonly #shape: CacheShape;
  readonly #sequences: number;
  #held = 0;
  #layers: readonly Layer[] = [];

  constructor(shape: CacheShape, sequences = 1) {
    this.#shape = shape;
    this.#sequences = sequences;
  }

  /** The positions that there is memory for. */
  get held(): number {
    return this.#held;
  }

  get layers(): readonly Layer[] {
    return this.#layers;
  }

  /**
   * Makes room for so many positions, those that the next run will fill among them. Since these are still unused in that run, what a sequence holds
   * never reaches the end of the scores, where the sum of a softmax has another order: its bits depend on no neighbour's length.
   */
  reserve(positions: number): void {
    if (positions <= this.#held) return;
    const wanted = Math.max(positions, this.#held * GROWTH);
    const from = this.#layers;
    const before = this.#held;
    const { num_hidden_layers, num_key_value_heads, head_dim } = this.#shape;
    this.#held = Math.ceil(wanted / BLOCK) * BLOCK;
    const heads = this.#sequences * num_key_value_heads;
    // One memory for all: what each message to a worker names costs by the buffer.
    const part = heads * head_dim * this.#held;
    const all = floats(2 * num_hidden_layers * part);
    this.#layers = Array.from({ length: num_hidden_layers }, (_, layer) => ({
      keys: all.subarray(2 * layer * part, (2 * layer + 1) * part),
      values: all.subarray((2 * layer + 1) * part, (2 * layer + 2) * part),
    }));
    for (const [i, { keys, values }] of from.entries()) {
      copyRows(keys, before, this.#layers[i].keys, this.#held, heads * head_dim, before);
      copyRows(values, before * head_dim, this.#layers[i].values, this.#held * head_dim, heads, before * head_dim);
    }
  }

  /**
   * Writes the new rows of a run to the positions from `start` on: `fresh` is [batch, chunk, 2 · layers · kv_heads, head_dim], of which this
   * takes `row` as its only sequence.
   */
  write(fresh: Float32Array, row: number, chunk: number, start: number): void {
    const { num_key_value_heads: kv_heads, head_dim } = this.#shape;
    const held = this.#held;
    let at = row * chunk * 2 * this.#layers.length * kv_heads * head_dim;
    for (let position = start; position < start + chunk; position++) {
      for (const { keys, values } of this.#layers) {
        for (let head = 0; head < kv_heads; head++, at += head_dim) {
          const first = head * head_dim * held + position;
          for (let i = 0; i < head_dim; i++) keys[first + i * held] = fresh[at + i];
        }
        for (let head = 0; head < kv_heads; head++, at += head_dim) {
          const first = (head * held + position) * head_dim;
          values.set(fresh.subarray(at, at + head_dim), first);
        }
      }
    }
  }

  /** The cache of one of several sequences, in the same memory until it needs more room. */
  part(sequence: number): KeyValueCache {
    const part = new KeyValueCache(this.#shape);
    const { num_key_value_heads, head_dim } = this.#shape;
    const length = num_key_value_heads * head_dim * this.#held;
    const of = (all: Float32Array): Float32Array => all.subarray(sequence * length, (sequence + 1) * length);
    part.#held = this.#held;
    part.#layers = this.#layers.map(({ keys, values }) => ({ keys: of(keys), values: of(values) }));
    return part;
  }

  /** Whether this is still a part of `whole`. */
  isIn(whole: KeyValueCache): boolean {
    return this.#layers[0]?.keys.buffer === whole.#layers[0]?.keys.buffer;
  }

  /** The first positions of a cache of one sequence in memory of their own. */
  copy(positions: number): KeyValueCache {
    const copy = new KeyValueCache(this.#shape);
    copy.reserve(positions);
    if (positions > 0) copy.take(this, positions, 0);
    return copy;
  }

  /** Copies the first positions of a cache of one sequence into this one's `sequence`; there must be room. */
  take(other: KeyValueCache, positions: number, sequence: number): void {
    const { num_key_value_heads: kv_heads, head_dim } = this.#shape;
    const rows = kv_heads * head_dim;
    for (const [i, { keys, values }] of other.#layers.entries()) {
      const to = this.#layers[i];
      const offset = sequence * rows * this.#held;
      copyRows(keys, other.#held, to.keys.subarray(offset), this.#held, rows, positions);
      const width = head_dim * positions;
      copyRows(values, other.#held * head_dim, to.values.subarray(offset), this.#held * head_dim, kv_heads, width);
    }
  }
}

/** Copies the first `length` values of each row; rows are `width` apart. */
function copyRows(
  from: Float32Array,
  from_width: number,
  to: Float32Array,
  to_width: number,
  rows: number,
  length: number,
): void {
  for (let row = 0; row < rows; row++)
    to.set(from.subarray(row * from_width, row * from_width + length), row * to_width);
}
