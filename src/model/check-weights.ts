// Whether weights are those of a model, before a graph is built of them.
import { sizeOf } from '../tensor/shape.ts';
import { type LlamaConfig, parameterSpecs, type Weights } from './config.ts';
import { ModelError } from './errors.ts';

/** Throws ModelError `wrong-weights` for one that is missing or has another length. */
export function checkWeights(config: LlamaConfig, weights: Weights): void {
  for (const { name, shape } of parameterSpecs(config)) {
    const length = weights.get(name)?.length;
    if (length === sizeOf(shape)) continue;
    const fact = `"${name}" has ${length ?? 'no'} values, expected ${sizeOf(shape)}`;
    throw new ModelError('wrong-weights', fact, { name });
  }
}
