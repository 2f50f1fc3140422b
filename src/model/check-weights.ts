// Whether weights are those of a model, or of a part of it, before anything is computed with them.
import { sizeOf } from '../tensor/shape.ts';
import type { ParameterSpec, Weights } from './config.ts';
import { ModelError } from './errors.ts';

/** Throws ModelError `wrong-weights` for one that is missing or has another length. Others than those of `specs` are ignored. */
export function checkWeights(specs: readonly ParameterSpec[], weights: Weights): void {
  for (const { name, shape } of specs) {
    const length = weights.get(name)?.length;
    if (length === sizeOf(shape)) continue;
    const fact = `"${name}" has ${length ?? 'no'} values, expected ${sizeOf(shape)}`;
    throw new ModelError('wrong-weights', fact, { name });
  }
}
