// One trial of `bench pipeline`: a model in stages in one process, every boundary coded as between devices, or the whole model.
import { z } from 'zod';
import { type LlamaConfig, LlamaConfigSchema, parameterSpecs, type Weights } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { type Boundary, BoundarySchema, decodeFloats, isWhole, layoutOf } from '../model/pipeline/boundary.ts';
import { initialStageWeights } from '../model/pipeline/initial.ts';
import { stageClip } from '../model/pipeline/split.ts';
import { openStage, type Stage, type StageInput } from '../model/pipeline/stage.ts';
import { equalStages, forwardThrough } from '../model/pipeline/testing/in-turn.ts';
import { seededRandom } from '../protocol/random.ts';
import type { Runtime } from '../tensor/runtime.ts';
import type { Batch } from '../training/inner.ts';
import { learningRate, type Schedule } from '../training/schedule.ts';
import { createEvaluator, createTrainer, meanLoss } from '../training/trainer.ts';
import { randomBatch, windowBatches } from '../training/windows.ts';
import type { Corpus } from './parity-data.ts';
import { ADAMW, MODEL_NAMES, MODELS, RATES } from './parity-trial.ts';
import { BoundaryTally, meanTraffic, type Traffic } from './pipeline-traffic.ts';

/** The settings of a trial: the model, optimiser, rates and text of `bench parity`'s trial `one`. */
export const PipelineTrialSchema = z.strictObject({
  model: z.enum(MODEL_NAMES).default('small'),
  steps: z.int().min(1).max(100_000).default(2000),
  batch: z.int().min(1).max(4096).default(12),
  /** A step learns from so many micro-batches of equal size. */
  micro_batches: z.int().min(1).max(64).default(1),
  seed: z.int().default(0),
  /** 1: the whole model, as it is trained without stages. */
  stages: z.int().min(1).max(64).default(4),
  boundary: BoundarySchema.prefault({}),
  /** What is different at the first boundary, the second and so on: ideas under test, and no settings of runs. */
  by_boundary: z.array(BoundarySchema.partial()).default([]),
  /** After the last step the batch of so many steps before goes forward again, to see how its activations have changed; 0: none. */
  revisit_steps: z.int().min(0).default(0),
  /** The largest norm of a stage's own gradients; null: its part of the whole model's limit. */
  clip: z.number().positive().nullable().default(null),
  /** After so many steps frozen tables become the embedding again, as after a merge; 0: never. */
  refresh_steps: z.int().min(0).default(0),
  /** Every n-th window of the validation text counts. */
  stride: z.int().min(1).max(1000).default(1),
});
export type PipelineTrial = z.infer<typeof PipelineTrialSchema>;
export type PipelineTrialInput = z.input<typeof PipelineTrialSchema>;

export interface PipelineResult {
  readonly validation_loss: number;
  /** The loss of the model alone, without what its boundaries add and leave out, as it would be exported. */
  readonly exported_loss: number;
  /** Of a boundary; null: there is none. */
  readonly traffic: Traffic | null;
  /** With revisit_steps: the squares of what activations have changed by, of the squares of what they are without their mean; of each boundary. */
  readonly changed: readonly number[];
  readonly seconds: number;
}

/** Runs a trial. `progress` hears the mean training loss of every tenth of the run. */
export async function runPipelineTrial(
  runtime: Runtime,
  corpus: Corpus,
  trial: PipelineTrial,
  progress: (step: number, loss: number) => void = () => {},
): Promise<PipelineResult> {
  const started = performance.now();
  const context = trial.model === 'tiny' ? 16 : 64;
  const config = LlamaConfigSchema.parse({
    ...{ ...MODELS[trial.model], vocab_size: corpus.vocab, max_position_embeddings: context },
  });
  const schedule: Schedule = { ...RATES, total_steps: trial.steps };
  const stream = seededRandom('parity data', trial.seed, 0); // the text of parity's first worker
  const shape = { batch: trial.batch, context };
  const model = await (trial.stages === 1 ? openWhole : openPipeline)(runtime, config, trial, shape);
  const tenth = Math.max(1, Math.floor(trial.steps / 10));
  let sum = 0;
  for (let step = 0; step < trial.steps; step++) {
    sum += await model.learn(randomBatch(corpus.train, stream, trial.batch, context), learningRate(step, schedule));
    if ((step + 1) % tenth !== 0) continue;
    progress(step + 1, sum / tenth);
    sum = 0;
  }
  const windows = windowBatches(corpus.validation, trial.batch, context, trial.stride);
  let [losses, rows] = [0, 0];
  for (const { batch, used } of windows) {
    for (const loss of (await model.losses(batch)).subarray(0, used)) [losses, rows] = [losses + loss, rows + 1];
  }
  const evaluator = await createEvaluator(runtime, config, shape);
  const exported_loss = await meanLoss(evaluator, await model.weights(), windows);
  await evaluator.close();
  const changed = await model.changed();
  await model.close();
  const seconds = Math.round((performance.now() - started) / 1000);
  return { validation_loss: losses / rows, exported_loss, traffic: model.traffic(), changed, seconds };
}

/** A model in training, whole or in stages. */
interface Learner {
  /** A step from this batch; gives its loss. */
  learn(batch: Batch, learning_rate: number): Promise<number>;
  losses(batch: Batch): Promise<Float32Array>;
  /** By the model's names. */
  weights(): Promise<Weights>;
  traffic(): Traffic | null;
  changed(): Promise<number[]>;
  close(): Promise<void>;
}

interface Shape {
  readonly batch: number;
  readonly context: number;
}

async function openWhole(runtime: Runtime, config: LlamaConfig, trial: PipelineTrial, shape: Shape): Promise<Learner> {
  const trainer = await createTrainer(runtime, config, { ...shape, adamw: ADAMW });
  const evaluator = await createEvaluator(runtime, config, shape);
  await trainer.setWeights(initialWeights(config, trial.seed));
  let measured = false;
  return {
    async learn(batch, rate) {
      return (await trainer.step(batch, rate)).loss;
    },
    async losses(batch) {
      if (!measured) await evaluator.setWeights(await trainer.weights());
      measured = true;
      return evaluator.losses(batch);
    },
    weights: () => trainer.weights(),
    traffic: () => null,
    changed: async () => [],
    async close() {
      await trainer.close();
      await evaluator.close();
    },
  };
}

async function openPipeline(runtime: Runtime, config: LlamaConfig, trial: PipelineTrial, shape: Shape) {
  const { micro_batches, stages: count } = trial;
  const between = boundariesOf(trial);
  const adamw = { ...ADAMW, clip: trial.clip ?? stageClip(ADAMW.clip, count) };
  const micro = { batch: shape.batch / micro_batches, context: shape.context };
  const stages: Stage[] = [];
  for (const [at, range] of equalStages(count, config.num_hidden_layers).entries()) {
    const boundaries = { incoming: between[at - 1], outgoing: between[at] };
    const stage = await openStage(runtime, config, { ...micro, range, ...boundaries, adamw });
    await stage.setWeights(initialStageWeights(config, range, boundaries, trial.seed));
    stages.push(stage);
  }
  return new Pipeline(stages, config, trial, micro);
}

const boundariesOf = ({ boundary, by_boundary, stages }: PipelineTrial): Boundary[] =>
  Array.from({ length: stages - 1 }, (_, at) => BoundarySchema.parse({ ...boundary, ...by_boundary[at] }));

class Pipeline implements Learner {
  readonly #stages: readonly Stage[];
  readonly #last: Stage;
  readonly #trial: PipelineTrial;
  readonly #micro: Shape;
  readonly #config: LlamaConfig;
  readonly #tallies: readonly BoundaryTally[];
  readonly #names: ReadonlySet<string>;
  #steps = 0;
  #earlier: readonly StageInput[] = [];

  constructor(stages: readonly Stage[], config: LlamaConfig, trial: PipelineTrial, micro: Shape) {
    this.#stages = stages;
    this.#last = stages.at(-1)!;
    this.#trial = trial;
    this.#micro = micro;
    this.#config = config;
    this.#tallies = boundariesOf(trial).map((boundary) => new BoundaryTally(config, micro, boundary));
    this.#names = new Set(parameterSpecs(config).map(({ name }) => name));
  }

  async learn({ tokens, targets }: Batch, rate: number): Promise<number> {
    const { micro_batches } = this.#trial;
    const size = this.#micro.batch * this.#micro.context;
    let loss = 0;
    for (let i = 0; i < micro_batches; i++) {
      const part = (data: Int32Array): Int32Array => data.subarray(i * size, (i + 1) * size);
      const inputs = await forwardThrough(this.#stages, part(tokens), `${this.#trial.seed} ${this.#steps} ${i}`);
      const isMeasured = this.#steps % MEASURED_EVERY === 0;
      const windows = { tokens: part(tokens), targets: part(targets) };
      for (const [at, tally] of isMeasured ? this.#tallies.entries() : [])
        tally.forward(i, windows, inputs[at + 1].activations!);
      if (this.#steps === this.#trial.steps - this.#trial.revisit_steps) this.#earlier = inputs;
      let from: Uint8Array | Int32Array = part(targets);
      for (const [at, stage] of [...this.#stages.entries()].reverse()) {
        const result = await stage.backward(inputs[at], from);
        loss += (result.loss ?? 0) / micro_batches;
        if (!result.gradient) continue;
        if (isMeasured) this.#tallies[at - 1].backward(i, result.gradient);
        from = result.gradient;
      }
    }
    for (const stage of this.#stages) await stage.step(rate);
    this.#steps++;
    const { refresh_steps } = this.#trial;
    if (refresh_steps > 0 && this.#steps % refresh_steps === 0) await this.#refresh();
    return loss;
  }

  /** Gives all stages the first one's embedding as their table of tokens. */
  async #refresh(): Promise<void> {
    const embedding = (await this.#stages[0].weights()).get('model.embed_tokens.weight')!;
    for (const stage of this.#stages) {
      const weights = new Map(await stage.weights());
      for (const { name } of stage.frozen) weights.set(name, embedding);
      await stage.setWeights(weights);
    }
  }

  async losses({ tokens, targets }: Batch): Promise<Float32Array> {
    const { batch, context } = this.#micro;
    const size = batch * context;
    const losses = new Float32Array(tokens.length / context);
    for (let start = 0; start < tokens.length; start += size) {
      const inputs = await forwardThrough(this.#stages, tokens.subarray(start, start + size), 'validation');
      losses.set(await this.#last.losses(inputs.at(-1)!, targets.subarray(start, start + size)), start / context);
    }
    return losses;
  }

  async weights(): Promise<Weights> {
    const all = await Promise.all(this.#stages.map((stage) => stage.weights()));
    return new Map(all.flatMap((weights) => [...weights].filter(([name]) => this.#names.has(name))));
  }

  traffic(): Traffic | null {
    return meanTraffic(
      this.#config,
      this.#tallies.map((tally) => tally.traffic()),
    );
  }

  async changed(): Promise<number[]> {
    const [first] = this.#earlier;
    if (!first) return [];
    const now = await forwardThrough(this.#stages, first.tokens, first.name);
    return boundariesOf(this.#trial).map((boundary, at) => {
      const layout = layoutOf(this.#config, this.#micro, boundary, 'activations');
      if (!isWhole(layout)) return Number.NaN;
      const [before, after] = [this.#earlier, now].map((inputs) => decodeFloats(layout, inputs[at + 1].activations!));
      return squares(after, (i) => before[i]) / squares(after, columnMeans(after, layout.columns));
    });
  }

  async close(): Promise<void> {
    for (const stage of this.#stages) await stage.close();
  }
}

/** The sum of the squares of what values are apart from others. */
const squares = (values: Float32Array, from: (i: number) => number): number =>
  values.reduce((sum, value, i) => sum + (value - from(i)) ** 2, 0);

function columnMeans(values: Float32Array, columns: number): (i: number) => number {
  const sums = new Float64Array(columns);
  values.forEach((value, i) => {
    sums[i % columns] += value;
  });
  return (i) => sums[i % columns] / (values.length / columns);
}

/** Every so many steps the messages of a step are made as devices would send them, to be measured: that takes as long as half of the step. */
const MEASURED_EVERY = 20;
