// A small case of an operator: its inputs, the same in every run, and what it computes of them.
import type { Graph, Value } from './graph.ts';
import { sizeOf } from './shape.ts';

/** A function of float32 inputs, given as values of a graph, and where to differentiate it. */
export interface GradientCase {
  readonly inputs: readonly { readonly shape: readonly number[]; readonly data: Float32Array }[];
  build(inputs: readonly Value[], graph: Graph): Value;
}

/** Numbers in [low, high) that look random and are the same in every run (Knuth's multiplicative hash). */
export function noise(length: number, seed: number, low = -1, high = 1): Float32Array {
  return Float32Array.from({ length }, (_, i) => {
    const uniform = (Math.imul(i + seed * 1009, 2654435761) >>> 0) / 2 ** 32;
    return low + uniform * (high - low);
  });
}

/** An input of a case. */
export function tensor(shape: readonly number[], seed: number, low = -1, high = 1) {
  return { shape, data: noise(sizeOf(shape), seed, low, high) };
}
