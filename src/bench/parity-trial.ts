// One trial of `bench parity`: several workers, one after another on one device (training/alone.ts), with ideas under test.

import { z } from 'zod';
import { afresh } from '../games/pretrain/carried.ts';
import { parameterCount } from '../games/pretrain/params.ts';
import { workOverhead } from '../games/pretrain/work.ts';
import {
  type LlamaConfig,
  LlamaConfigSchema,
  type ParameterSpec,
  parameterSpecs,
  type Weights,
} from '../model/config.ts';
import { roundedWeights } from '../model/dtypes.ts';
import { initialWeights } from '../model/init.ts';
import { seededRandom } from '../protocol/random.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { type Exchange, type Learned, sendUpdates, sharedMerge, type Text, trainAlone } from '../training/alone.ts';
import { learningRate, type Schedule } from '../training/schedule.ts';
import { decodeUpdate, SparseOptionsSchema, type SparseUpdate } from '../training/sparse.ts';
import { createEvaluator, meanLoss } from '../training/trainer.ts';
import { randomBatch, windowBatches } from '../training/windows.ts';
import type { Corpus } from './parity-data.ts';
import { ATTACKS, type AttackName, lies } from './parity-liars.ts';

/** The models: published figures are those of `small`; `pilot` compares ideas in a seventh of its time. */
export const MODELS = {
  small: { num_hidden_layers: 4, num_attention_heads: 4, hidden_size: 128, intermediate_size: 352 },
  pilot: { num_hidden_layers: 2, num_attention_heads: 4, hidden_size: 64, intermediate_size: 176 },
  tiny: { num_hidden_layers: 1, num_attention_heads: 2, hidden_size: 16, intermediate_size: 32 },
} as const;
export const MODEL_NAMES = Object.keys(MODELS) as (keyof typeof MODELS)[];

export const ADAMW = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, clip: 1 };
export const RATES = { warmup_steps: 100, learning_rate: 1e-3, min_learning_rate: 1e-4 };

/** The settings of a trial. Those below `sparse` are ideas under test, and no settings of runs. */
export const TrialSchema = z.strictObject({
  model: z.enum(MODEL_NAMES).default('small'),
  steps: z.int().min(1).max(100_000).default(2000),
  batch: z.int().min(1).max(4096).default(12),
  seed: z.int().default(0),
  /** Factor of the first matrices' standard deviation. */
  initial_scale: z.number().positive().max(100).default(1),
  workers: z.int().min(1).max(64).default(4),
  /** Inner steps between two outer ones. */
  inner_steps: z.int().min(1).default(30),
  /** 'none': one worker, no outer step. */
  exchange: z.enum(['none', 'dense', 'sparse']).default('sparse'),
  sparse: SparseOptionsSchema.prefault({}),
  /** 'kept': a worker keeps its AdamW moments from round to round; 'reset': they begin at zero in every round, so that anybody can repeat the round. */
  optimiser: z.enum(['kept', 'reset']).default('kept'),
  /** Nesterov momentum on the merged update. */
  momentum: z.number().min(0).max(1).default(0),
  /** The part of its error feedback that a worker keeps in its own weights while it trains (0: it starts from the shared weights). */
  retained: z.number().min(0).max(1).default(0),
  /**
   * What a worker subtracts from its error feedback: 'own', its own update; 'merged', the merged update (before outer_step), so
   * that it does not send what others have sent already.
   */
  feedback: z.enum(['own', 'merged']).default('own'),
  /** Rounds grow as the learning rate falls, by this power of it, at the same number of rounds. */
  growth: z.number().min(-4).max(4).default(0),
  /** The factor by which the outer step changes over the run, linearly. */
  outer_end: z.number().positive().max(8).default(1),
  /** The factor by which the density changes over the run, linearly. */
  density_end: z.number().positive().max(8).default(1),
  /** Also measures an exponential mean of the outer weights with this decay. */
  average: z.number().min(0).lt(1).default(0),
  /** Liars in addition to the workers, and their attack. They do not train, but know the honest differences. */
  liars: z
    .strictObject({ count: z.int().min(1).max(64), attack: z.enum(Object.keys(ATTACKS) as AttackName[]) })
    .optional(),
});
export type Trial = z.infer<typeof TrialSchema>;
export type TrialInput = z.input<typeof TrialSchema>;

export interface TrialResult {
  readonly validation_loss: number;
  /** The loss of the averaged outer weights, where the trial asks for them. */
  readonly averaged_loss: number | null;
  readonly rounds: number;
  /** What one worker sends in the whole run, as really encoded. */
  readonly sent_bytes: number;
  /** What one worker downloads of merges in the whole run, as really encoded: steps, or everybody's updates. */
  readonly fetched_bytes: number;
  /** Dense float32 of as many rounds. */
  readonly dense_bytes: number;
  /** Loss on a tenth of the validation windows along the way. */
  readonly curve: readonly { readonly step: number; readonly loss: number }[];
  readonly seconds: number;
}

/** One finished trial under its name. */
export interface Measured extends TrialResult {
  readonly name: string;
  readonly trial: TrialInput;
}

const CURVE_POINTS = 6;
const CURVE_STRIDE = 10;

/** Runs a trial. `progress` hears each point of the curve. */
export async function runTrial(
  runtime: Runtime,
  corpus: Corpus,
  trial: Trial,
  progress: (step: number, loss: number) => void = () => {},
): Promise<TrialResult> {
  const started = performance.now();
  const context = trial.model === 'tiny' ? 16 : 64;
  const model = LlamaConfigSchema.parse({
    ...{ ...MODELS[trial.model], vocab_size: corpus.vocab, max_position_embeddings: context },
  });
  const specs = parameterSpecs(model);
  const schedule: Schedule = { ...RATES, total_steps: trial.steps };
  const shape = { batch: trial.batch, context };
  const { workers } = trial;
  const rounds = roundLengths(trial, schedule);
  const streams = Array.from({ length: workers }, (_, id) => seededRandom('parity data', trial.seed, id));
  const text: Text = (worker) => async () => randomBatch(corpus.train, streams[worker], trial.batch, context);
  const evaluator = await createEvaluator(runtime, model, shape);
  const measure = (weights: Weights, stride: number): Promise<number> =>
    meanLoss(evaluator, weights, windowBatches(corpus.validation, trial.batch, context, stride));

  let weights = firstWeights(model, specs, trial);
  let averaged = weights;
  const traffic = { up_bytes: 0, down_bytes: 0 };
  const exchange = exchangeOf(trial, specs, rounds, traffic);
  const curve: { step: number; loss: number }[] = [];
  let round = 0;
  let step = 0;
  const training = { model, ...shape, adamw: ADAMW, workers, rounds, schedule, sparse: trial.sparse };
  for await (weights of trainAlone(runtime, training, text, weights, exchange)) {
    averaged = round === 0 ? weights : combine(scaled(averaged, trial.average), weights, 1 - trial.average);
    step += rounds[round++];
    if (Math.floor((round * CURVE_POINTS) / rounds.length) > Math.floor(((round - 1) * CURVE_POINTS) / rounds.length)) {
      const loss = await measure(weights, CURVE_STRIDE);
      curve.push({ step, loss });
      progress(step, loss);
    }
  }
  const validation_loss = await measure(weights, 1);
  const averaged_loss = trial.average > 0 ? await measure(averaged, 1) : null;
  await evaluator.close();
  return {
    validation_loss,
    averaged_loss,
    rounds: rounds.length,
    sent_bytes: Math.round(traffic.up_bytes),
    fetched_bytes: Math.round(traffic.down_bytes),
    dense_bytes: 4 * parameterCount(specs) * rounds.length,
    curve,
    seconds: Math.round((performance.now() - started) / 1000),
  };
}

/** What the workers of a trial do between rounds; counts in `traffic` the bytes that one of them sends and downloads. */
function exchangeOf(
  trial: Trial,
  specs: readonly ParameterSpec[],
  rounds: readonly number[],
  traffic: { up_bytes: number; down_bytes: number },
): Exchange {
  const liars = Array.from({ length: trial.liars?.count ?? 0 }, () => ({ error: new Map<string, Float32Array>() }));
  const share = sharedMerge(specs, trial.sparse);
  let velocity: Weights | null = null;

  async function merge(weights: Weights, learned: readonly Learned[], round: number): Promise<Weights> {
    if (trial.exchange === 'none') return learned[0].worker.trainer.weights();
    const done = rounds.length > 1 ? round / (rounds.length - 1) : 0;
    const sparse = {
      ...trial.sparse,
      kept_per_tile: Math.round(trial.sparse.kept_per_tile * (1 + (trial.density_end - 1) * done)),
      outer_step: trial.sparse.outer_step * (1 + (trial.outer_end - 1) * done),
    };
    const deltas = learned.map(({ delta }) => delta);
    let next: Weights;
    if (trial.exchange === 'dense') {
      traffic.up_bytes += 4 * parameterCount(specs);
      traffic.down_bytes += 4 * parameterCount(specs);
      next = deltas.reduce((sum, delta) => combine(sum, delta, -sparse.outer_step / deltas.length), weights);
    } else {
      const updates = sendUpdates(specs, learned, sparse);
      // As workers submit them: with the hashes of the worker's states and its losses.
      for (const bytes of updates) traffic.up_bytes += (bytes.length + workOverhead(rounds[round])) / updates.length;
      if (trial.liars) {
        const made_up = lies(trial.liars.attack, liars.length, specs, deltas, `${trial.seed} ${round}`);
        const lied = made_up.map((delta, k) => ({ delta, worker: liars[k] }));
        updates.push(...sendUpdates(specs, lied, sparse));
      }
      const shared = share(weights, updates, sparse);
      traffic.down_bytes += shared.down_bytes;
      next = shared.weights;
      if (trial.feedback === 'merged') {
        const applied = combine(weights, next, -1);
        learned.forEach(({ worker }, k) => {
          takeOff(worker.error, decodeUpdate(specs, updates[k], sparse), applied, sparse.outer_step);
        });
      }
    }
    if (trial.momentum === 0) return next;
    const change = combine(weights, next, -1);
    velocity = velocity ? combine(change, velocity, trial.momentum) : change;
    return combine(next, velocity, -trial.momentum);
  }

  return {
    async begin({ trainer, error }, weights) {
      if (trial.optimiser === 'reset') await trainer.setOptimiserState(afresh(specs).moments);
      return trial.retained > 0 && error.size > 0 ? combine(weights, error, -trial.retained) : weights;
    },
    merge,
  };
}

/** Subtracts the merged update (before the outer step) from the error feedback, instead of the worker's own update. */
function takeOff(error: Map<string, Float32Array>, own: SparseUpdate, applied: Weights, outer_step: number): void {
  for (const [name, rest] of error) {
    const { indices, codes, table } = own.get(name)!;
    for (let i = 0; i < indices.length; i++) rest[indices[i]] += table[codes[i]];
    applied.get(name)!.forEach((value, i) => {
      rest[i] -= value / outer_step;
    });
  }
}

/** The inner steps of each round: equal, or growing as the learning rate falls, with the same number of rounds. */
export function roundLengths(trial: Trial, schedule: Schedule): number[] {
  const { steps, inner_steps, growth } = trial;
  const rounds = Math.ceil(steps / inner_steps);
  if (growth === 0) {
    return Array.from({ length: rounds }, (_, i) => Math.min(inner_steps, steps - i * inner_steps));
  }
  // Cut the run where the integral of rate^growth passes equal shares. During the warm-up the rate counts as its highest.
  const work = Array.from(
    { length: steps },
    (_, step) => learningRate(Math.max(step, schedule.warmup_steps), schedule) ** growth,
  );
  const total = work.reduce((a, b) => a + b, 0);
  const lengths: number[] = [];
  let sum = 0;
  let length = 0;
  work.forEach((amount, step) => {
    sum += amount;
    length++;
    if (sum >= (total * (lengths.length + 1)) / rounds - 1e-9 || step === steps - 1) {
      lengths.push(length);
      length = 0;
    }
  });
  return lengths;
}

/** The project's first weights, changed as the trial wants them. */
function firstWeights(config: LlamaConfig, specs: readonly ParameterSpec[], trial: Trial): Weights {
  const first = initialWeights(config, trial.seed);
  const scaled: Weights = new Map(
    specs.map(({ name, decay }) => {
      const values = first.get(name)!;
      return [name, decay ? values.map((value) => value * trial.initial_scale) : values];
    }),
  );
  return roundedWeights(trial.sparse.weights, scaled);
}

/** a + factor · b. */
function combine(a: Weights, b: Weights, factor: number): Weights {
  return new Map(Array.from(a, ([name, values]) => [name, values.map((value, i) => value + factor * b.get(name)![i])]));
}

function scaled(a: Weights, factor: number): Weights {
  return new Map(Array.from(a, ([name, values]) => [name, values.map((value) => factor * value)]));
}
