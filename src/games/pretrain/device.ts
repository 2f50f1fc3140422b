// What a device keeps loaded between the rounds of a pre-training run: trainers, an evaluator, the dataset's manifest and shards.
import { type ParameterSpec, parameterSpecs, type Weights } from '../../model/config.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import { assignedBatches, type SoftSource } from '../../training/assignment.ts';
import { DataError } from '../../training/corpus-errors.ts';
import type { Batch, InnerSteps, OptimiserState, Trainer } from '../../training/inner.ts';
import { type DatasetManifest, decodeManifest, decodeShard, type ShardTokens } from '../../training/shards.ts';
import { decodeSoftRows, type SoftRows } from '../../training/soft-shards.ts';
import { decodeUpdate, type SparseUpdate } from '../../training/sparse.ts';
import { createEvaluator, createTrainer, type Evaluator } from '../../training/trainer.ts';
import type { Device, Round } from '../game.ts';
import { afresh, type Carried } from './carried.ts';
import { learningRateAt, type PretrainParams, type PretrainTask, parameterCount } from './params.ts';
import { decodeWork, toldMicro } from './work.ts';

/** Labels that keep the streams of data apart. */
export const WORKER_DATA = 'worker';
export const VALIDATOR_DATA = 'validator';

/** The held-out windows, evenly spread over the validation split: the same ones every time, and only their shards are loaded. */
export async function validationWindows(
  device: Device,
  manifest: DatasetManifest,
  params: PretrainParams,
  wanted: number,
) {
  const windowsIn = manifest.validation.map(({ tokens }) => Math.floor((tokens - 1) / params.context));
  const total = windowsIn.reduce((sum, windows) => sum + windows, 0);
  const count = Math.max(params.batch, Math.min(wanted, total - (total % params.batch)));
  const windows: { tokens: ShardTokens; offset: number }[] = [];
  let shard = 0;
  let before = 0;
  for (let i = 0; i < count; i++) {
    const index = Math.floor((i * total) / count);
    while (index - before >= windowsIn[shard]) before += windowsIn[shard++];
    const tokens = await shardOf(device, manifest, manifest.validation[shard].hash);
    windows.push({ tokens, offset: (index - before) * params.context });
  }
  return windows;
}

/** How the held-out text begins. */
export async function heldOutBeginning(device: Device, params: PretrainParams, most_tokens: number) {
  const manifest = await manifestOf(device, params);
  return (await shardOf(device, manifest, manifest.validation[0].hash)).subarray(0, most_tokens);
}

/** The data that one peer works on in one round: the batches of its assignment. */
export async function openData(device: Device, params: PretrainParams, round: Round, peer: string, use: string) {
  const manifest = await manifestOf(device, params);
  const { batch, context, shards_per_round } = params;
  const options = { seed: `${use}:${round.seed}`, worker: peer, context, shards_per_round, batch };
  const teacher = teacherOf(device, params, manifest);
  return { batch: assignedBatches(manifest, options, (hash) => shardOf(device, manifest, hash), teacher) };
}

/** The inner steps that a task asks for, on its assigned data: the worker's, and a judge's that repeats them. */
export async function stepsOf(
  { params, round, peer }: PretrainTask,
  device: Device,
  steps: number,
  more: () => boolean,
): Promise<InnerSteps> {
  const { batch } = await openData(device, params, round, peer, WORKER_DATA);
  return {
    steps,
    batch,
    learning_rate: (step) => learningRateAt(params, round, step),
    progress: (done, loss) => {
      const numbers = { steps: done, loss_micro: toldMicro(loss) };
      return device.progress({ amount: done * params.batch * params.context, numbers });
    },
    more,
  };
}

/** What a worker carries, as somebody knows it who has repeated its rounds; `apart`: how far the last update was from the repeated one. */
export interface Followed {
  readonly round: number;
  readonly carried: Carried;
  readonly apart: number;
}

/** A batch with the loss of each of its sequences, in nats. */
export interface Measured {
  readonly batch: Batch;
  readonly losses: readonly number[];
}

// What a device keeps loaded between rounds hangs on its Device, so that it goes when the device goes.
interface Loaded {
  /** Takes a worker's steps, or a judge's that repeats them. */
  trainer?: Promise<Trainer>;
  /** What a referee repeats loosely with: the moments that the last long repetition left. */
  moments?: OptimiserState;
  /** What workers carry whose rounds were repeated, by the hash that they gave it, with the round that left it. */
  readonly followed: Map<string, Followed>;
  evaluator?: Promise<Evaluator>;
  /** What the round's model says of data that nobody was assigned: the same for every submission. */
  unassigned?: { readonly weights: Weights; readonly seed: string; readonly measured: Promise<Measured> };
  manifest?: Promise<DatasetManifest>;
  readonly shards: Map<string, Promise<ShardTokens>>;
  /** What a teacher says of shards, by the hash of the blob that says it. */
  readonly soft: Map<string, Promise<SoftRows>>;
  /** Updates by the hash of their work: each is compared with many others. */
  readonly updates: Map<string, SparseUpdate>;
  /** How far jumps of losses were that were looked at, of the last ones (jumps.ts). */
  readonly jumps: number[];
}
const loaded = new WeakMap<Device, Loaded>();
const SHARDS_IN_MEMORY = 64;
/** Twenty times as large. */
const SOFT_IN_MEMORY = 8;

export function loadedOf(device: Device): Loaded {
  let entry = loaded.get(device);
  if (!entry) {
    entry = { shards: new Map(), soft: new Map(), followed: new Map(), updates: new Map(), jumps: [] };
    loaded.set(device, entry);
  }
  return entry;
}

type LoadedOnce = Pick<Loaded, 'trainer' | 'evaluator' | 'manifest'>;

/** What a device holds, loaded when it is first asked for. A failure is not remembered: the next who asks tries again. */
function once<Name extends keyof LoadedOnce>(
  device: Device,
  name: Name,
  load: () => NonNullable<LoadedOnce[Name]>,
): NonNullable<LoadedOnce[Name]> {
  const entry: LoadedOnce = loadedOf(device);
  const known = entry[name];
  if (known) return known;
  const loading = load();
  entry[name] = loading;
  loading.catch(() => {
    entry[name] = undefined;
  });
  return loading;
}

export function manifestOf(device: Device, params: PretrainParams): Promise<DatasetManifest> {
  return once(device, 'manifest', () => device.fetchBlob(params.dataset).then(decodeManifest));
}

function shardOf(device: Device, manifest: DatasetManifest, hash: string): Promise<ShardTokens> {
  const decode = (bytes: Uint8Array): ShardTokens => decodeShard(bytes, manifest);
  return fetchedOnce(device, loadedOf(device).shards, SHARDS_IN_MEMORY, hash, decode);
}

/** A blob as it is decoded, kept in memory while there are not too many of its kind. */
function fetchedOnce<T>(
  device: Device,
  kept: Map<string, Promise<T>>,
  most: number,
  hash: string,
  decode: (bytes: Uint8Array) => T,
): Promise<T> {
  const known = kept.get(hash);
  if (known) return known;
  const found = device.fetchBlob(hash).then(decode);
  found.catch(() => kept.delete(hash));
  if (kept.size >= most) kept.delete(kept.keys().next().value!);
  kept.set(hash, found);
  return found;
}

/** What the run's teacher says, if it has one. */
function teacherOf(
  device: Device,
  { distil }: PretrainParams,
  { vocab_size, token_bytes }: DatasetManifest,
): SoftSource | undefined {
  if (!distil) return undefined;
  const { top, weight } = distil;
  return {
    weight,
    async rowsOf({ hash, soft, tokens }) {
      if (soft === undefined)
        throw new DataError('corrupt-data', `dataset: no teacher has said anything of shard ${hash}`);
      const form = { vocab_size, token_bytes, top, tokens };
      return fetchedOnce(device, loadedOf(device).soft, SOFT_IN_MEMORY, soft, (bytes) => decodeSoftRows(bytes, form));
    },
  };
}

export function trainerOf(device: Device, params: PretrainParams): Promise<Trainer> {
  const { batch, context, adamw, distil } = params;
  const soft_tokens = distil ? distil.top + 1 : undefined; // the target itself is one of them
  const shape = { batch, context, soft_tokens, adamw };
  return once(device, 'trainer', () => createTrainer(device.runtime, params.model, shape));
}

export function evaluatorOf(device: Device, params: PretrainParams): Promise<Evaluator> {
  const { batch, context } = params;
  return once(device, 'evaluator', () => createEvaluator(device.runtime, params.model, { batch, context }));
}

/** Enough for what one submission is compared with, twice, at a megabyte each; of more the oldest are forgotten. */
const UPDATES_BYTES = 1 << 28;

/** The update in a piece of work. Throws GameError, TrainingError for what honest software does not write. */
export function updateOf(device: Device, { model, sparse }: PretrainParams, work: Uint8Array): SparseUpdate {
  const { updates } = loadedOf(device);
  const hash = sha256Hex(work);
  const known = updates.get(hash);
  if (known) return known;
  const update = decodeUpdate(parameterSpecs(model), decodeWork(work).update, sparse);
  updates.set(hash, update);
  const update_bytes = [...update.values()].reduce(
    (sum, { indices, codes }) => sum + indices.byteLength + codes.byteLength,
    0,
  );
  forgetOldest(updates, update_bytes, UPDATES_BYTES);
  return update;
}

/** States of workers are as large as three models each; of more than so many the oldest are forgotten. */
const FOLLOWED_BYTES = 1 << 30;

/** What a worker carries that left a state with this hash, if this device has repeated the round in which it did. */
export function followedOf(device: Device, hash: string): Followed | undefined {
  return loadedOf(device).followed.get(hash);
}

/** Remembers what repeated work leaves, under the hash that its worker gave it: until the end of the next round, which may go on from it. */
export function follow(device: Device, specs: readonly ParameterSpec[], hash: string, known: Followed): void {
  const { followed } = loadedOf(device);
  for (const [old, { round: left_in }] of followed) if (left_in < known.round - 1) followed.delete(old);
  followed.set(hash, known);
  forgetOldest(followed, 3 * 4 * parameterCount(specs), FOLLOWED_BYTES);
}

/** Keeps what is of one size within a limit. */
function forgetOldest(kept: Map<string, unknown>, each_bytes: number, limit_bytes: number): void {
  for (const oldest of kept.keys()) {
    if (kept.size * each_bytes <= limit_bytes) return;
    kept.delete(oldest);
  }
}

/**
 * Steps after which newer moments take the place of older ones, and after which moments say what a worker's do: eight
 * were too few for whole works, and from zero no work that goes on was within the bounds (docs/experiments.md).
 */
const LEARNT_STEPS = { enough: 30, least: 15 } as const;

/** Remembers what a repetition left, unless it was so short that its moments say little, or less than those that are known. */
export function learnMoments(device: Device, moments: OptimiserState): void {
  const entry = loadedOf(device);
  if (moments.steps >= Math.min(LEARNT_STEPS.enough, entry.moments?.steps ?? 1)) entry.moments = moments;
}

/**
 * Moments to repeat work of so many steps with that is not known to begin afresh: those that this device has learnt, and where they have seen
 * fewer steps than the work, more of them on data that nobody was assigned, while `more` says so. Short work is that of a worker that has not
 * taken many either.
 */
export async function momentsFor(
  steps: number,
  referee: Trainer,
  device: Device,
  { params, round, weights }: PretrainTask,
  more: () => boolean,
): Promise<OptimiserState> {
  const learnt = loadedOf(device).moments ?? afresh(parameterSpecs(params.model)).moments;
  const wanted = Math.min(LEARNT_STEPS.least, steps);
  if (learnt.steps >= wanted) return learnt;
  await referee.setOptimiserState(learnt);
  await referee.setWeights(weights);
  const data = await openData(device, params, round, 'warming up', VALIDATOR_DATA);
  for (let step = 0; step < wanted - learnt.steps && more(); step++) {
    await referee.step(await data.batch(step), learningRateAt(params, round, step));
  }
  return referee.optimiserState();
}
