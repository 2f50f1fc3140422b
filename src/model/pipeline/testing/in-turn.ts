// All stages of a model in one process, one after another: for tests and measurements.
import type { Runtime } from '../../../tensor/runtime.ts';
import type { LlamaConfig, Weights } from '../../config.ts';
import type { StageOptions } from '../graphs.ts';
import { type StageRange, splitModel } from '../split.ts';
import { openStage, type Stage, type StageInput } from '../stage.ts';

/** Layers of equal cost, so that a boundary comes after the same layers whatever the embedding costs. */
export function equalStages(count: number, layers = 4): StageRange[] {
  const [one, none] = [1, 0].map((cost) => ({ cost, bytes: 1 }));
  return splitModel({ embedding: none, layers: new Array(layers).fill(one), head: none }, count);
}

/** Opens these stages with their parts of the weights. */
export function openStages(
  runtime: Runtime,
  config: LlamaConfig,
  ranges: readonly StageRange[],
  options: Omit<StageOptions, 'range'>,
  weights: Weights,
): Promise<Stage[]> {
  return Promise.all(
    ranges.map(async (range) => {
      const stage = await openStage(runtime, config, { ...options, range });
      await stage.setWeights(weights);
      return stage;
    }),
  );
}

/** A micro-batch forward through all stages but the last; gives what each stage reads of it, the last too. */
export async function forwardThrough(stages: readonly Stage[], tokens: Int32Array, name = ''): Promise<StageInput[]> {
  const inputs: StageInput[] = [{ tokens, activations: null, name }];
  for (const stage of stages.slice(0, -1))
    inputs.push({ tokens, activations: await stage.forward(inputs.at(-1)!), name });
  return inputs;
}

/** Back through all stages; gives the loss. */
export async function backwardThrough(
  stages: readonly Stage[],
  inputs: readonly StageInput[],
  targets: Int32Array,
): Promise<number> {
  const { loss, gradient } = await stages.at(-1)!.backward(inputs.at(-1)!, targets);
  let from = gradient;
  for (let i = stages.length - 2; i >= 0; i--) from = (await stages[i].backward(inputs[i], from!)).gradient;
  return loss!;
}
