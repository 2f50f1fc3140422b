// What a run of the decode graph reads beside the caches: the rows of the embedding, the rotations, and which positions each token sees.
import type { TensorData } from '../tensor/runtime.ts';
import type { LlamaConfig } from './config.ts';
import type { DecodeModel } from './decode-graph.ts';
import { floats } from './key-value-cache.ts';
import { widenRow } from './narrow-matrix.ts';
import { rotaryTable } from './rotary-table.ts';

/** Added to the scores of what a token does not see. exp of it is 0 in float32, and, unlike -Infinity, it never makes a NaN. */
const MASKED = -1e30;

/** The memory of inputs by name. It stays where it is from run to run while lengths do, so that a worker need not be told of it again. */
export class InputMemory {
  readonly #arrays = new Map<string, Float32Array>();

  /** What is in it is left from another run. */
  floats(name: string, length: number): Float32Array {
    const held = this.#arrays.get(name);
    if (held?.length === length) return held;
    const array = floats(length);
    this.#arrays.set(name, array);
    return array;
  }
}

/** New tokens of one sequence and the number of those before them. */
export interface Chunk {
  readonly ids: ArrayLike<number>;
  readonly start: number;
}

/** The rows of the embedding, [batch, chunk, hidden_size]; all chunks have one length. */
export function embedded(
  memory: InputMemory,
  chunks: readonly Chunk[],
  { embedding }: DecodeModel,
  width: number,
): TensorData {
  const { length } = chunks[0].ids;
  const data = memory.floats('embedded', chunks.length * length * width);
  for (const [i, { ids }] of chunks.entries()) {
    for (let j = 0; j < length; j++) {
      const row = data.subarray((i * length + j) * width, (i * length + j + 1) * width);
      if ('levels' in embedding) widenRow(embedding, ids[j], row);
      else row.set(embedding.subarray(ids[j] * width, (ids[j] + 1) * width));
    }
  }
  return { dtype: 'float32', shape: [chunks.length, length, width], data };
}

/** Cosines, then sines, of the positions of all rows, [2, batch · chunk, head_dim]. */
export function rotations(memory: InputMemory, chunks: readonly Chunk[], config: LlamaConfig): TensorData {
  const { length } = chunks[0].ids;
  const rows = chunks.length * length;
  const data = memory.floats('rotation', 2 * rows * config.head_dim);
  for (const [i, { start }] of chunks.entries()) {
    const { cosine, sine } = rotaryTable(length, config, 1, start);
    data.set(cosine, i * length * config.head_dim);
    data.set(sine, (rows + i * length) * config.head_dim);
  }
  return { dtype: 'float32', shape: [2, rows, config.head_dim], data };
}

/** 0 where a token sees a position, otherwise MASKED, [batch, 1, chunk, chunk + held]: first the chunk itself, then what is held. */
export function mask(memory: InputMemory, chunks: readonly Chunk[], held: number, window: number | null): TensorData {
  const { length } = chunks[0].ids;
  const seen = length + held;
  const data = memory.floats('mask', chunks.length * length * seen).fill(MASKED);
  for (const [i, { start }] of chunks.entries()) {
    for (let token = 0; token < length; token++) {
      const row = (i * length + token) * seen;
      // The first position that it sees, counted in the whole sequence.
      const first = window === null ? 0 : Math.max(0, start + token - window + 1);
      data.fill(0, row + Math.max(0, first - start), row + token + 1);
      if (first < start) data.fill(0, row + length + first, row + length + start);
    }
  }
  return { dtype: 'float32', shape: [chunks.length, 1, length, seen], data };
}
