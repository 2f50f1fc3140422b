// A model in training, and a model under evaluation, on a device's runtime: each step or evaluation is one graph.

import { type AdamwOptions, momentNames } from '../model/adamw.ts';
import { type LlamaConfig, parameterSpecs, type Weights } from '../model/config.ts';
import { type BatchShape, lossGraph, type SoftShape, trainGraph } from '../model/train-graph.ts';
import { trainStages } from '../model/train-stages.ts';
import { TensorError } from '../tensor/errors.ts';
import type { Runtime, TensorData } from '../tensor/runtime.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { Batch, OptimiserState, StepResult, Trainer } from './inner.ts';

/** Measures a model: the mean cross-entropy in nats of every sequence of a batch. */
export interface Evaluator {
  setWeights(weights: Weights): Promise<void>;
  losses(batch: Batch): Promise<Float32Array>;
  close(): Promise<void>;
}

export interface TrainerOptions extends BatchShape, SoftShape {
  readonly adamw: AdamwOptions;
}

/**
 * Loads a training step for batches of one shape. Weights must be set before the first step; moments begin at zero.
 * Errors are TensorErrors: weights that do not fit the config, a batch of another shape, a token outside the vocabulary.
 */
export async function createTrainer(runtime: Runtime, config: LlamaConfig, options: TrainerOptions): Promise<Trainer> {
  const { batch, context, soft_tokens, adamw } = options;
  const graph = { batch, context, soft_tokens, ...adamw };
  const stages = runtime.staged && trainStages(config, graph, runtime.staged.width);
  const program = await (stages ? runtime.staged!.load(stages) : runtime.load(trainGraph(config, graph)));
  const specs = parameterSpecs(config);
  const names = specs.map(({ name }) => name);
  const moments = names.map(momentNames);
  let steps = 0;

  async function setMoments(first: Weights, second: Weights): Promise<void> {
    checkWeights(config, first);
    checkWeights(config, second);
    const state = new Map<string, Float32Array>();
    names.forEach((name, i) => {
      state.set(moments[i].first, first.get(name)!);
      state.set(moments[i].second, second.get(name)!);
    });
    await program.writeState(state);
  }

  return {
    async setWeights(weights) {
      checkWeights(config, weights);
      await program.writeState(new Map(names.map((name) => [name, weights.get(name)!])));
    },
    weights: () => program.readState(names),
    async step(data, learning_rate): Promise<StepResult> {
      const inputs = { ...batchInputs(config, options, data), ...softInputs(config, options, data) };
      if (!Number.isFinite(learning_rate)) {
        throw new TensorError('bad-argument', `step: expected a finite learning rate, got ${learning_rate}`);
      }
      steps++;
      const outputs = await program.run({
        ...inputs,
        learning_rate: scalar(learning_rate),
        bias_correction1: scalar(1 - adamw.beta1 ** steps),
        bias_correction2: scalar(1 - adamw.beta2 ** steps),
      });
      return { loss: outputs.loss.data[0], gradient_norm: outputs.gradient_norm.data[0] };
    },
    async optimiserState() {
      const values = await program.readState(moments.flatMap(({ first, second }) => [first, second]));
      return {
        steps,
        first: new Map(names.map((name, i) => [name, values.get(moments[i].first)!])),
        second: new Map(names.map((name, i) => [name, values.get(moments[i].second)!])),
      };
    },
    async setOptimiserState(state: OptimiserState) {
      await setMoments(state.first, state.second);
      steps = state.steps;
    },
    close: () => program.close(),
  };
}

/** Loads the loss of batches of one shape. Weights must be set before the first batch. */
export async function createEvaluator(runtime: Runtime, config: LlamaConfig, shape: BatchShape): Promise<Evaluator> {
  const program = await runtime.load(lossGraph(config, shape));
  const names = parameterSpecs(config).map(({ name }) => name);
  return {
    async setWeights(weights) {
      checkWeights(config, weights);
      await program.writeState(new Map(names.map((name) => [name, weights.get(name)!])));
    },
    async losses(batch) {
      const { losses } = await program.run(batchInputs(config, shape, batch));
      return losses.data as Float32Array;
    },
    close: () => program.close(),
  };
}

/** The mean loss of a model over held-out sequences; of each batch the first `used` rows count, or all. */
export async function meanLoss(
  evaluator: Evaluator,
  weights: Weights,
  batches: Iterable<{ readonly batch: Batch; readonly used?: number }>,
): Promise<number> {
  await evaluator.setWeights(weights);
  let sum = 0;
  let rows = 0;
  for (const { batch, used } of batches) {
    for (const loss of (await evaluator.losses(batch)).subarray(0, used)) {
      sum += loss;
      rows++;
    }
  }
  return sum / rows;
}

function scalar(value: number): TensorData {
  return { dtype: 'float32', shape: [], data: Float32Array.of(value) };
}

/** Refuses weights with a missing name or another length. */
function checkWeights(config: LlamaConfig, weights: Weights): void {
  for (const { name, shape } of parameterSpecs(config)) {
    const length = weights.get(name)?.length;
    if (length === undefined) throw new TensorError('unknown-name', `weights: ${name} is missing`, { name });
    if (length !== sizeOf(shape)) {
      throw new TensorError('bad-length', `weights: ${name} [${shape}] holds ${sizeOf(shape)} values, got ${length}`, {
        name,
      });
    }
  }
}

/** The distributions of a batch as inputs of a graph that learns from such; refuses a batch without them, and tokens outside the embedding. */
function softInputs(
  { vocab_size }: LlamaConfig,
  { batch, context, soft_tokens }: TrainerOptions,
  { soft }: Batch,
): Record<string, TensorData> {
  if (soft_tokens === undefined) return {};
  const shape = [batch, context, soft_tokens];
  for (const name of ['ids', 'weights'] as const) {
    const length = soft?.[name].length ?? 0;
    if (length === sizeOf(shape)) continue;
    throw new TensorError('bad-length', `soft ${name}: expected ${shape.join(' × ')} values, got ${length}`, { name });
  }
  const { ids, weights } = soft!;
  const wrong = ids.find((token) => token < 0 || token >= vocab_size);
  if (wrong !== undefined) {
    throw new TensorError('bad-argument', `soft ids: expected tokens below ${vocab_size}, got ${wrong}`, {
      name: 'ids',
    });
  }
  return {
    soft_ids: { dtype: 'int32', shape, data: ids },
    soft_weights: { dtype: 'float32', shape, data: weights },
  };
}

/** A batch as inputs of a graph; refuses another shape, and tokens outside the embedding. */
function batchInputs(config: LlamaConfig, { batch, context }: BatchShape, data: Batch): Record<string, TensorData> {
  const inputs: Record<string, TensorData> = {};
  for (const name of ['tokens', 'targets'] as const) {
    const values = data[name];
    if (values.length !== batch * context) {
      throw new TensorError('bad-length', `${name}: expected ${batch} × ${context} tokens, got ${values.length}`, {
        name,
      });
    }
    const wrong = values.find((token) => token < 0 || token >= config.vocab_size);
    if (wrong !== undefined) {
      throw new TensorError('bad-argument', `${name}: expected tokens below ${config.vocab_size}, got ${wrong}`, {
        name,
      });
    }
    inputs[name] = { dtype: 'int32', shape: [batch, context], data: values };
  }
  return inputs;
}
