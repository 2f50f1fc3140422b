// The text that a worker must learn from follows from the round's seed and the worker's id, so nobody chooses their own data (Templar, arXiv 2505.21684).
import { type Random, seededRandom } from '../protocol/random.ts';
import { DataError } from './corpus-errors.ts';
import type { Batch } from './inner.ts';
import type { DatasetManifest, ShardEntry, ShardTokens } from './shards.ts';
import { type SoftRows, softBatch } from './soft-shards.ts';

const LIMIT_SHARDS_PER_ROUND = 1024;

/** Where a training sequence begins: `context` + 1 tokens from `offset` of the training shard with this number. */
export interface Window {
  readonly shard: number;
  readonly offset: number;
}

export interface AssignmentOptions {
  /** The round's seed. */
  readonly seed: string | Uint8Array;
  /** The id of the worker. */
  readonly worker: string;
  /** Tokens of a sequence. */
  readonly context: number;
  /** How many shards are drawn: more give more varied text, and more to download. A shard may be drawn twice. */
  readonly shards_per_round: number;
  /** Keeps draws for different uses apart: a validator's random comparison uses another label than the work itself. */
  readonly label?: string;
}

export interface Assignment {
  /** The numbers of the shards (into `manifest.train`) that any of the windows may need, ascending. */
  readonly shards: number[];
  /** Window i ≥ 0. Step k of a batch of B learns from the windows kB … kB + B − 1. */
  window(i: number): Window;
}

/** A uniform integer in [0, bound) for bounds up to 2^53: a large corpus has more than 2^32 windows. */
function below(random: Random, bound: number): number {
  if (bound <= 2 ** 32) return random.below(bound);
  const limit = 2 ** 53 - (2 ** 53 % bound);
  for (;;) {
    const value = (random.uint32() >>> 11) * 2 ** 32 + random.uint32();
    if (value < limit) return value % bound;
  }
}

function checkPositive(name: string, value: number, limit: number): void {
  if (!Number.isInteger(value) || value < 1 || value > limit) {
    throw new DataError('bad-option', `${name}: ${value}, expected an integer in 1..${limit}`);
  }
}

/**
 * What one worker learns from in one round; pure, the same on every machine.
 * Shards are drawn with a probability proportional to the windows they hold, and windows uniformly within the drawn shards,
 * so over all rounds every window of the training split is equally likely. Validation shards are never drawn.
 * Throws DataError `bad-option`, also when no training shard is longer than `context`.
 */
export function assignment(manifest: Pick<DatasetManifest, 'train'>, options: AssignmentOptions): Assignment {
  const { seed, worker, context, shards_per_round, label = 'work' } = options;
  checkPositive('context', context, 2 ** 24);
  checkPositive('shards_per_round', shards_per_round, LIMIT_SHARDS_PER_ROUND);
  const windowsOf = (shard: number) => Math.max(0, manifest.train[shard].tokens - context);
  // ends[s]: how many windows shards 0..s hold together.
  const ends: number[] = [];
  let total = 0;
  for (let shard = 0; shard < manifest.train.length; shard++) {
    total += windowsOf(shard);
    ends.push(total);
  }
  if (total === 0) {
    throw new DataError('bad-option', `context: ${context}, but no training shard has more than ${context} tokens`);
  }
  const random = seededRandom('potluck/shards', label, seed, worker);
  const drawn = Array.from({ length: shards_per_round }, () => firstAbove(ends, below(random, total)));
  return {
    shards: [...new Set(drawn)].sort((a, b) => a - b),
    window(i) {
      if (!Number.isSafeInteger(i) || i < 0)
        throw new DataError('bad-option', `window: ${i}, expected an integer from 0`);
      const random = seededRandom('potluck/window', label, seed, worker, i);
      const shard = drawn[random.below(drawn.length)];
      return { shard, offset: random.below(windowsOf(shard)) };
    },
  };
}

/** The first index whose value is greater than `target`; the last value of `ascending` is greater. */
function firstAbove(ascending: readonly number[], target: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] > target) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * The batch of some windows: row r holds tokens offset … offset + context − 1 and, as targets, each one's successor.
 * Throws DataError `bad-option` when a window reaches past its tokens.
 */
export function batchFrom(
  windows: readonly { readonly tokens: ShardTokens; readonly offset: number }[],
  context: number,
): Batch {
  const tokens = new Int32Array(windows.length * context);
  const targets = new Int32Array(windows.length * context);
  for (const [row, { tokens: source, offset }] of windows.entries()) {
    if (offset < 0 || offset + context + 1 > source.length) {
      throw new DataError('bad-option', `window: ${offset} + ${context} + 1 tokens of ${source.length}`);
    }
    tokens.set(source.subarray(offset, offset + context), row * context);
    targets.set(source.subarray(offset + 1, offset + context + 1), row * context);
  }
  return { tokens, targets };
}

/** What a teacher says of the shards, and how much of it is learned. */
export interface SoftSource {
  readonly weight: number;
  rowsOf(shard: ShardEntry): Promise<SoftRows>;
}

/** The batches of an assignment, fetched by the hashes of their shards: batch k holds the windows k·B … k·B + B − 1. */
export function assignedBatches(
  manifest: Pick<DatasetManifest, 'train'>,
  options: AssignmentOptions & { readonly batch: number },
  shardOf: (hash: string) => Promise<ShardTokens>,
  teacher?: SoftSource,
): (step: number) => Promise<Batch> {
  const { window } = assignment(manifest, options);
  return async (step) => {
    const windows = Array.from({ length: options.batch }, (_, i) => window(step * options.batch + i));
    const loaded = await Promise.all(
      windows.map(async ({ shard, offset }) => ({ tokens: await shardOf(manifest.train[shard].hash), offset })),
    );
    const batch = batchFrom(loaded, options.context);
    if (!teacher) return batch;
    const soft = await Promise.all(windows.map(({ shard }) => teacher.rowsOf(manifest.train[shard])));
    const taught = loaded.map((of, i) => ({ ...of, soft: soft[i] }));
    return { ...batch, soft: softBatch(taught, options.context, teacher.weight) };
  };
}
