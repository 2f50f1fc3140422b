// Pre-training as a game: learn from the text that the round assigns, hand in a sparse update, be judged by what it does to the loss.
import { z } from 'zod';
import { CodedError } from '../errors.ts';
import { decodeModel, encodeModel } from '../model/checkpoint.ts';
import { LlamaConfigSchema, type ParameterSpec, parameterSpecs, type Weights } from '../model/config.ts';
import { assignment, batchFrom } from '../training/assignment.ts';
import type { Batch, Trainer } from '../training/inner.ts';
import { mergeUpdates } from '../training/outer.ts';
import { learningRate } from '../training/schedule.ts';
import { type DatasetManifest, decodeManifest, decodeShard, type ShardTokens } from '../training/shards.ts';
import { compressUpdate, decodeUpdate, encodeUpdate, maxUpdateBytes, SparseOptionsSchema } from '../training/sparse.ts';
import { createEvaluator, createTrainer, type Evaluator } from '../training/trainer.ts';
import type { Claim, Device, Game, Round, Verdict } from './game.ts';
import { decodeErrorFeedback, decodeOptimiser, encodeErrorFeedback, encodeOptimiser } from './pretrain-drawer.ts';

/** A run's settings, as the owner writes them. */
export const PretrainParamsSchema = z.object({
  model: LlamaConfigSchema,
  /** The dataset's manifest. */
  dataset: z.string().regex(/^[0-9a-f]{64}$/),
  batch: z.int().min(1).max(4096),
  context: z.int().min(2).max(65_536),
  /** The most inner steps that a worker does in one round. */
  inner_steps: z.int().min(1).max(100_000),
  learning_rate: z.number().positive().max(1),
  min_learning_rate: z.number().positive().max(1),
  warmup_steps: z.int().min(0),
  adamw: z
    .object({
      beta1: z.number().min(0).lt(1).default(0.9),
      beta2: z.number().min(0).lt(1).default(0.99),
      epsilon: z.number().positive().default(1e-8),
      weight_decay: z.number().min(0).default(0.1),
      clip: z.number().positive().default(1),
    })
    .prefault({}),
  sparse: SparseOptionsSchema.prefault({}),
  shards_per_round: z.int().min(1).max(64).default(2),
  /** How many validation sequences a validator measures a model on. */
  evaluation_sequences: z.int().min(1).max(100_000).default(96),
});
export type PretrainParams = z.infer<typeof PretrainParamsSchema>;

export interface PretrainTask {
  readonly params: PretrainParams;
  readonly round: Round;
  readonly peer: string;
  readonly weights: Weights;
}

/** An update is refused as harmful when, at two standard errors, it raises the loss by more than this (nats). */
const HARM_TOLERANCE = 0.01;
/** Labels that keep the streams of data apart. */
const WORKER_DATA = 'worker';
const VALIDATOR_DATA = 'validator';

export const game: Game<PretrainParams, PretrainTask, Weights> = {
  name: 'pretrain',
  params: PretrainParamsSchema,
  task: (params, round, peer, weights) => ({ params, round, peer, weights }),
  perform,
  check,
  evaluate,
  merge(params, weights, accepted) {
    const specs = parameterSpecs(params.model);
    const updates = accepted.map(({ work, weight }) => ({ update: decodeUpdate(specs, work, params.sparse), weight }));
    return mergeUpdates(specs, weights, updates, params.sparse);
  },
  encodeState: (params, weights) => encodeModel(params.model, weights),
  decodeState: (params, bytes) => decodeModel(params.model, bytes),
  checkForm(params, work) {
    decodeUpdate(parameterSpecs(params.model), work, params.sparse);
  },
  sizes(params) {
    const specs = parameterSpecs(params.model);
    return { max_bytes: maxUpdateBytes(specs, params.sparse), dense_bytes: 4 * parameterCount(specs) };
  },
};

/** The number of values in a model. */
export function parameterCount(specs: readonly ParameterSpec[]): number {
  return specs.reduce((sum, spec) => sum + spec.shape.reduce((a, b) => a * b, 1), 0);
}

async function perform(task: PretrainTask, device: Device, signal: AbortSignal): Promise<Claim | null> {
  const { params, round } = task;
  const trainer = await trainerOf(device, params);
  await trainer.setWeights(task.weights);
  const data = await openData(device, params, round, task.peer, WORKER_DATA);
  let steps = 0;
  let loss_sum = 0;
  const tokens_per_step = params.batch * params.context;
  while (steps < params.inner_steps && !signal.aborted) {
    const batch = await data.batch(steps);
    const { loss } = await trainer.step(batch, learningRateAt(params, round, steps));
    if (!Number.isFinite(loss)) return startAfresh(device, trainer);
    steps++;
    loss_sum += loss;
    await device.progress({ steps, loss, tokens: steps * tokens_per_step });
  }
  if (steps === 0) return null;
  const work = await packUpdate(task, device, trainer);
  return { work, steps, tokens: steps * tokens_per_step, loss_micro: Math.round((loss_sum / steps) * 1e6) };
}

/** Training that left the finite numbers has nothing to hand in, and its moments would spoil every later round. */
async function startAfresh(device: Device, trainer: Trainer): Promise<null> {
  loadedOf(device).trainer = undefined;
  await device.drawer.delete('optimiser');
  await trainer.close();
  return null;
}

/** The schedule runs over the whole run at its nominal length, so that workers of every speed agree on the rate. */
function learningRateAt(params: PretrainParams, round: Round, step: number): number {
  return learningRate(round.number * params.inner_steps + step, {
    total_steps: round.rounds * params.inner_steps,
    warmup_steps: params.warmup_steps,
    learning_rate: params.learning_rate,
    min_learning_rate: params.min_learning_rate,
  });
}

/** Turns what the trainer learned into bytes, and puts what was left out, and AdamW's state, into the drawer. */
async function packUpdate(task: PretrainTask, device: Device, trainer: Trainer): Promise<Uint8Array> {
  const { params, round } = task;
  const specs = parameterSpecs(params.model);
  const trained = await trainer.weights();
  const delta = new Map(specs.map(({ name }) => [name, difference(task.weights.get(name)!, trained.get(name)!)]));
  // What a worker left out two rounds ago belongs to a model that no longer is: only the last round's rest counts.
  const kept = await device.drawer.get('error-feedback');
  const error = decodeErrorFeedback(specs, kept, round.number - 1);
  const update = compressUpdate(specs, delta, error, params.sparse);
  await device.drawer.put('error-feedback', encodeErrorFeedback(specs, error, round.number));
  await device.drawer.put('optimiser', encodeOptimiser(specs, await trainer.optimiserState()));
  return encodeUpdate(specs, update, params.sparse);
}

function difference(before: Float32Array, after: Float32Array): Float32Array {
  const result = new Float32Array(before.length);
  for (let i = 0; i < result.length; i++) result[i] = before[i] - after[i];
  return result;
}

async function check(task: PretrainTask, claim: Claim, device: Device): Promise<Verdict> {
  const { params, round } = task;
  const specs = parameterSpecs(params.model);
  const refuse = (code: string): Verdict => ({
    accepted: false,
    fraud: true,
    code,
    weight: 0,
    score_micro: 0,
    loss_before_micro: 0,
    loss_after_micro: 0,
    evidence: {},
  });
  if (claim.steps > params.inner_steps) return refuse('too-many-steps');
  if (claim.tokens !== claim.steps * params.batch * params.context) return refuse('tokens-do-not-follow-from-steps');
  let updated: Weights;
  try {
    const update = decodeUpdate(specs, claim.work, params.sparse);
    updated = mergeUpdates(specs, task.weights, [{ update, weight: 1 }], params.sparse);
  } catch (error) {
    if (error instanceof CodedError) return refuse(error.code);
    throw error;
  }
  const evaluator = await evaluatorOf(device, params);
  const assigned = await openData(device, params, round, task.peer, WORKER_DATA);
  const random = await openData(device, params, round, task.peer, VALIDATOR_DATA);
  const batches = [await assigned.batch(0), await random.batch(0)];
  const before = await lossesOf(evaluator, task.weights, batches);
  const after = await lossesOf(evaluator, updated, batches);
  const harm = interval(after.map((loss, index) => loss - before[index]));
  const loss_before_micro = Math.round(mean(before) * 1e6);
  const loss_after_micro = Math.round(mean(after) * 1e6);
  const accepted = harm.mean - 2 * harm.standard_error <= HARM_TOLERANCE;
  return {
    accepted,
    fraud: false,
    code: accepted ? 'ok' : 'harmful',
    weight: accepted ? claim.tokens : 0,
    score_micro: loss_before_micro - loss_after_micro,
    loss_before_micro,
    loss_after_micro,
    evidence: {},
  };
}

async function evaluate(params: PretrainParams, weights: Weights, device: Device) {
  const manifest = await manifestOf(device, params);
  const evaluator = await evaluatorOf(device, params);
  const batches = Math.max(1, Math.ceil(params.evaluation_sequences / params.batch));
  const windows = await validationWindows(device, manifest, params, batches * params.batch);
  const losses: number[] = [];
  await evaluator.setWeights(weights);
  for (let start = 0; start + params.batch <= windows.length; start += params.batch) {
    const batch = batchFrom(windows.slice(start, start + params.batch), params.context);
    losses.push(...(await evaluator.losses(batch)));
  }
  return { loss_micro: Math.round(mean(losses) * 1e6), tokens: losses.length * params.context };
}

/** The held-out windows, evenly spread over the validation split: the same ones every time, and only their shards are loaded. */
async function validationWindows(device: Device, manifest: DatasetManifest, params: PretrainParams, wanted: number) {
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

/** Losses of every sequence of some batches under some weights. */
async function lossesOf(evaluator: Evaluator, weights: Weights, batches: readonly Batch[]): Promise<number[]> {
  await evaluator.setWeights(weights);
  const losses: number[] = [];
  for (const batch of batches) losses.push(...(await evaluator.losses(batch)));
  return losses;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function interval(differences: readonly number[]): { mean: number; standard_error: number } {
  const centre = mean(differences);
  const variance = mean(differences.map((value) => (value - centre) ** 2));
  return { mean: centre, standard_error: Math.sqrt(variance / Math.max(1, differences.length - 1)) };
}

/** The data that one peer works on in one round: batch k holds windows k·B … k·B+B−1 of its assignment. */
async function openData(device: Device, params: PretrainParams, round: Round, peer: string, use: string) {
  const manifest = await manifestOf(device, params);
  const { window } = assignment(manifest, {
    seed: `${use}:${round.seed}`,
    worker: peer,
    context: params.context,
    shards_per_round: params.shards_per_round,
  });
  const batch = async (step: number): Promise<Batch> => {
    const windows = Array.from({ length: params.batch }, (_, i) => window(step * params.batch + i));
    const loaded = await Promise.all(
      windows.map(async ({ shard, offset }) => ({
        tokens: await shardOf(device, manifest, manifest.train[shard].hash),
        offset,
      })),
    );
    return batchFrom(loaded, params.context);
  };
  return { batch };
}

// What a device keeps loaded between rounds hangs on its Device, so that it goes when the device goes.
interface Loaded {
  trainer?: Promise<Trainer>;
  evaluator?: Promise<Evaluator>;
  manifest?: Promise<DatasetManifest>;
  readonly shards: Map<string, Promise<ShardTokens>>;
}
const loaded = new WeakMap<Device, Loaded>();
const SHARDS_IN_MEMORY = 64;

function loadedOf(device: Device): Loaded {
  let entry = loaded.get(device);
  if (!entry) {
    entry = { shards: new Map() };
    loaded.set(device, entry);
  }
  return entry;
}

function manifestOf(device: Device, params: PretrainParams): Promise<DatasetManifest> {
  const entry = loadedOf(device);
  entry.manifest ??= device.fetchBlob(params.dataset).then(decodeManifest);
  return entry.manifest;
}

function shardOf(device: Device, manifest: DatasetManifest, hash: string): Promise<ShardTokens> {
  const { shards } = loadedOf(device);
  const known = shards.get(hash);
  if (known) return known;
  const shard = device.fetchBlob(hash).then((bytes) => decodeShard(bytes, manifest));
  shard.catch(() => shards.delete(hash));
  if (shards.size >= SHARDS_IN_MEMORY) shards.delete(shards.keys().next().value!);
  shards.set(hash, shard);
  return shard;
}

function trainerOf(device: Device, params: PretrainParams): Promise<Trainer> {
  const entry = loadedOf(device);
  entry.trainer ??= openTrainer(device, params);
  return entry.trainer;
}

/** A trainer with the AdamW state that this device had when it last worked on the run. */
async function openTrainer(device: Device, params: PretrainParams): Promise<Trainer> {
  const { batch, context, adamw } = params;
  const trainer = await createTrainer(device.runtime, params.model, { batch, context, adamw });
  const kept = decodeOptimiser(parameterSpecs(params.model), await device.drawer.get('optimiser'));
  if (kept) await trainer.setOptimiserState(kept);
  return trainer;
}

function evaluatorOf(device: Device, params: PretrainParams): Promise<Evaluator> {
  const entry = loadedOf(device);
  entry.evaluator ??= createEvaluator(device.runtime, params.model, { batch: params.batch, context: params.context });
  return entry.evaluator;
}
