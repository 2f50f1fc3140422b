// A stage's initial weights: the model's own, and those of its boundaries, whose halves begin equal on both sides.
import { seededRandom } from '../../protocol/random.ts';
import type { LlamaConfig, Weights } from '../config.ts';
import { initialWeights, normal } from '../init.ts';
import { type Boundaries, boundarySpecs } from './boundary-graph.ts';
import { type StageRange, stageSpecs } from './split.ts';

/** The weights of a stage, which follow from the model's config, its boundaries and the seed: no device needs another stage's to begin. */
export function initialStageWeights(
  config: LlamaConfig,
  range: StageRange,
  boundaries: Boundaries,
  seed: string | number,
): Weights {
  const weights = new Map(initialWeights(config, seed, stageSpecs(config, range)));
  const { trained, frozen } = boundarySpecs(config, range, boundaries);
  for (const { name, shape } of [...trained, ...frozen]) {
    if (name === 'boundary.tokens.weight') weights.set(name, embeddingOf(config, seed));
    else weights.set(name, orthonormal(shape, seed, name === 'boundary.in.weight' ? range.first : range.end));
  }
  return weights;
}

/** The model's initial embedding, which follows from the seed as well. */
function embeddingOf(config: LlamaConfig, seed: string | number): Float32Array {
  const specs = stageSpecs(config, { embedding: true, first: 0, end: 0, head: false });
  return initialWeights(config, seed, specs).get(specs[0].name)!;
}

/** Orthonormal rows (Gram–Schmidt, in doubles) for the boundary before this layer. */
function orthonormal([rows, columns]: readonly number[], seed: string | number, layer: number): Float32Array {
  const random = seededRandom('initial bottleneck', seed, layer);
  const basis: Float64Array[] = [];
  for (let row = 0; row < rows; row++) {
    const next = Float64Array.from({ length: columns }, () => normal(random));
    for (const other of basis) subtract(next, other, dot(next, other));
    const length = Math.sqrt(dot(next, next));
    basis.push(next.map((value) => value / length));
  }
  return Float32Array.from(basis.flatMap((row) => [...row]));
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function subtract(from: Float64Array, other: Float64Array, factor: number): void {
  for (let i = 0; i < from.length; i++) from[i] -= factor * other[i];
}
