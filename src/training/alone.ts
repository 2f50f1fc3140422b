// Read this first: how a model is trained. One device plays all workers in turn, without a network, with the same parts as a run's workers.
// In games/pretrain.ts each worker is a device of its own, its text is assigned to it, and others check what it submits.
import { type LlamaConfig, type ParameterSpec, parameterSpecs, type Weights } from '../model/config.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { TrainingError } from './errors.ts';
import { type Batch, type Trained, type Trainer, trainSteps } from './inner.ts';
import { mergeUpdates } from './outer.ts';
import { learningRate, type Schedule } from './schedule.ts';
import { compressUpdate, decodeUpdate, encodeUpdate, type SparseOptions } from './sparse.ts';
import { openCut, openFollow } from './steps.ts';
import { createTrainer, type TrainerOptions } from './trainer.ts';

/** What is trained, by how many workers, and for how long. */
export interface Training extends TrainerOptions {
  readonly model: LlamaConfig;
  readonly workers: number;
  /** The inner steps that a worker takes in each round. */
  readonly rounds: readonly number[];
  /** The learning rate over all inner steps of all rounds. */
  readonly schedule: Schedule;
  readonly sparse: SparseOptions;
}

/** Gives the batches that a worker learns from in a round, one call per batch. In a run they follow from the round's seed (assignment.ts). */
export type Text = (worker: number, round: number) => (step: number) => Promise<Batch>;

export interface Worker {
  /** The model on the device; AdamW's moments stay in it from round to round. */
  readonly trainer: Trainer;
  /** By weight, what the worker has learned and not sent yet (error feedback). */
  readonly error: Map<string, Float32Array>;
}

/** The result of a worker's round. */
export interface Learned extends Trained {
  readonly worker: Worker;
}

/** What happens before and after the inner steps of a round. */
export interface Exchange {
  /** Prepares a worker for a round; returns the weights that it starts from, where they are not the shared ones. */
  begin?(worker: Worker, weights: Weights): Promise<Weights>;
  /** The next model, from the current one and what all workers have learned. */
  merge(weights: Weights, learned: readonly Learned[], round: number): Promise<Weights>;
}

/**
 * Trains from these first weights; yields the model after each round. `exchange`: another exchange than a run's, for experiments.
 * Throws TrainingError `not-finite` where the loss or the weights become infinite or NaN.
 */
export async function* trainAlone(
  runtime: Runtime,
  training: Training,
  text: Text,
  first: Weights,
  exchange: Exchange = sparseExchange(training),
): AsyncGenerator<Weights, void> {
  const { model, rounds, schedule } = training;
  const workers: Worker[] = await Promise.all(
    Array.from({ length: training.workers }, async () => ({
      trainer: await createTrainer(runtime, model, training),
      error: new Map<string, Float32Array>(),
    })),
  );
  let weights = first;
  let done = 0;
  try {
    for (const [round, steps] of rounds.entries()) {
      const learned: Learned[] = [];
      for (const [number, worker] of workers.entries()) {
        const begin = (await exchange.begin?.(worker, weights)) ?? weights;
        const trained = await trainSteps(worker.trainer, begin, {
          steps,
          batch: text(number, round),
          learning_rate: (step) => learningRate(done + step, schedule),
          progress: async () => {},
          more: () => true,
        });
        if (trained === null)
          throw new TrainingError('not-finite', `round ${round}: the loss or the weights became infinite or NaN`);
        learned.push({ worker, ...trained });
      }
      weights = await exchange.merge(weights, learned, round);
      done += steps;
      yield weights;
    }
  } finally {
    await Promise.all(workers.map(({ trainer }) => trainer.close()));
  }
}

/** The exchange of a run: every worker sends a sparse update, and everybody applies the step that is cut from them. */
function sparseExchange({ model, sparse }: Training): Exchange {
  const specs = parameterSpecs(model);
  const merge = sharedMerge(specs, sparse);
  return { merge: async (weights, learned) => merge(weights, sendUpdates(specs, learned, sparse)).weights };
}

/** What each worker sends of what it has learned: the largest values. The rest stays in its error feedback. */
export function sendUpdates(
  specs: readonly ParameterSpec[],
  learned: readonly { readonly delta: Weights; readonly worker: Pick<Worker, 'error'> }[],
  sparse: SparseOptions,
): Uint8Array[] {
  return learned.map(({ delta, worker }) =>
    encodeUpdate(specs, compressUpdate(specs, delta, worker.error, sparse), sparse),
  );
}

/** The result of a round's updates, and how many bytes of it each worker downloads. */
export interface Shared {
  readonly weights: Weights;
  readonly down_bytes: number;
}

/** The outer steps, round after round. All workers have taken the same number of inner steps, so each has the same weight. */
export function sharedMerge(
  specs: readonly ParameterSpec[],
  options: SparseOptions,
): (weights: Weights, sent: readonly Uint8Array[], now?: SparseOptions) => Shared {
  let rest: Weights = new Map();
  return (weights, sent, now = options) => {
    const updates = sent.map((bytes) => ({ update: decodeUpdate(specs, bytes, now), weight: 1 }));
    if (now.step === null) {
      const down_bytes = sent.reduce((sum, { length }) => sum + length, 0);
      return { weights: mergeUpdates(specs, weights, updates, now), down_bytes };
    }
    const cut = openCut(specs, updates, now);
    rest = new Map(specs.map((spec) => [spec.name, cut.tensor(spec, rest.get(spec.name), weights.get(spec.name))]));
    const step = cut.step();
    const follow = openFollow(specs, step, now);
    const next = new Map(specs.map((spec) => [spec.name, follow(spec, weights.get(spec.name))]));
    return { weights: next, down_bytes: step.length };
  };
}
