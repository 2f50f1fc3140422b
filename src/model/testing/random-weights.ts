// Random weights with which a model's distribution is far from uniform, for tests of what computes with it.
import { seededRandom } from '../../protocol/random.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { type LlamaConfig, parameterSpecs, type Weights } from '../config.ts';

export interface RandomWeights {
  /** What each tensor is drawn from beside its own name. */
  readonly seed?: readonly [label: string, ...parts: string[]];
  /** How far from 0 the values of a matrix lie at most. Those of vectors lie about 1. */
  readonly spread?: (shape: readonly number[]) => number;
}

export function randomWeights(
  config: LlamaConfig,
  { seed = ['test weights'], spread = () => 0.7 }: RandomWeights = {},
): Weights {
  return new Map(
    parameterSpecs(config).map(({ name, shape, decay }) => {
      const random = seededRandom(...seed, name);
      const most = decay ? spread(shape) : 0.2;
      const value = () => most * (random.uint32() / 2 ** 31 - 1) + (decay ? 0 : 1);
      return [name, Float32Array.from({ length: sizeOf(shape) }, value)];
    }),
  );
}
