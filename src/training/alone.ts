// Read this first: how a model is trained. One device plays all workers in turn, without a network, from the parts that a run's workers
// use; in games/pretrain.ts each is a device of its own, its text is assigned, and others check what it hands in.
import { type LlamaConfig, type ParameterSpec, parameterSpecs, type Weights } from '../model/config.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { TrainingError } from './errors.ts';
import { type Batch, type Trained, type Trainer, trainSteps } from './inner.ts';
import { mergeUpdates } from './outer.ts';
import { learningRate, type Schedule } from './schedule.ts';
import { compressUpdate, decodeUpdate, encodeUpdate, type SparseOptions } from './sparse.ts';
import { openCut, openFollow } from './steps.ts';
import { createTrainer, type TrainerOptions } from './trainer.ts';

/** What is trained, by how many, and for how long. */
export interface Training extends TrainerOptions {
  readonly model: LlamaConfig;
  readonly workers: number;
  /** The inner steps that a worker takes in each round. */
  readonly rounds: readonly number[];
  /** The learning rate over all inner steps of all rounds. */
  readonly schedule: Schedule;
  readonly sparse: SparseOptions;
}

/** The batches that a worker learns from in a round, asked for in order. In a run they follow from the round's seed (assignment.ts). */
export type Text = (worker: number, round: number) => (step: number) => Promise<Batch>;

export interface Worker {
  /** The model on the device; AdamW's moments stay in it from round to round. */
  readonly trainer: Trainer;
  /** What it has learned and not sent yet, by weight (error feedback). */
  readonly error: Map<string, Float32Array>;
}

/** What a worker's round came to. */
export interface Learned extends Trained {
  readonly worker: Worker;
}

/** What happens around the inner steps of a round. */
export interface Exchange {
  /** Makes a worker ready for a round; the weights that it begins with, where they are not the shared ones. */
  begin?(worker: Worker, weights: Weights): Promise<Weights>;
  /** The next model, from the present one and what all workers have learned. */
  merge(weights: Weights, learned: readonly Learned[], round: number): Promise<Weights>;
}

/**
 * Trains from these first weights; yields the model after each round. `exchange`: another than the run's own, to try it.
 * Throws TrainingError 'not-finite' where the loss or the weights leave the finite numbers.
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
        if (trained === null) throw new TrainingError('not-finite', `round ${round}: training left the finite numbers`);
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

/** A run's own: everybody sends a sparse update, everybody follows the step that is cut from them. */
function sparseExchange({ model, sparse }: Training): Exchange {
  const specs = parameterSpecs(model);
  const merge = sharedMerge(specs, sparse);
  return { merge: async (weights, learned) => merge(weights, sendUpdates(specs, learned, sparse)).weights };
}

/** What each worker sends of what it has learned: the largest values. What they leave out stays in its error feedback. */
export function sendUpdates(
  specs: readonly ParameterSpec[],
  learned: readonly { readonly delta: Weights; readonly worker: Pick<Worker, 'error'> }[],
  sparse: SparseOptions,
): Uint8Array[] {
  return learned.map(({ delta, worker }) =>
    encodeUpdate(specs, compressUpdate(specs, delta, worker.error, sparse), sparse),
  );
}

/** What a round's updates come to, and the bytes that each worker downloads of it. */
export interface Shared {
  readonly weights: Weights;
  readonly down_bytes: number;
}

/** The outer step, round after round. All have taken as many inner steps, so each counts as much. */
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
    rest = new Map(specs.map((spec) => [spec.name, cut.tensor(spec, rest.get(spec.name))]));
    const step = cut.step();
    const follow = openFollow(specs, step, now);
    const next = new Map(specs.map((spec) => [spec.name, follow(spec, weights.get(spec.name))]));
    return { weights: next, down_bytes: step.length };
  };
}
