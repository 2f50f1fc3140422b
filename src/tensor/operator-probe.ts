// Operators' test cases as one graph whose outputs are the results and every gradient, to compare runtimes.
import { gradients } from './gradient.ts';
import { Graph } from './graph.ts';
import { type GradientCase, noise } from './operator-case.ts';
import { mul } from './ops.ts';
import { reduceSum } from './ops-shape.ts';
import type { CompiledGraph, Runtime, TensorData, TensorMap } from './runtime.ts';
import { sizeOf } from './shape.ts';

export interface OperatorProbe {
  readonly graph: CompiledGraph;
  readonly inputs: TensorMap;
}

/** The case's result as output `y`, and the gradients of a weighted sum of it as `d0`, `d1`, … */
export function probeOf(operator: GradientCase): OperatorProbe {
  const probe = new Probing();
  probe.add('', operator);
  return probe.compile();
}

/** All cases in one graph: outputs are named `operator 0 y`, `operator 0 d0`, … */
export function probeOfAll(cases: Readonly<Record<string, readonly GradientCase[]>>): OperatorProbe {
  const probe = new Probing();
  for (const [operator, its] of Object.entries(cases)) {
    for (const [i, one] of its.entries()) probe.add(`${operator} ${i} `, one);
  }
  return probe.compile();
}

/** A graph of cases, each with names that begin with its prefix. */
class Probing {
  readonly #graph = new Graph();
  readonly #inputs: Record<string, TensorData> = {};

  add(prefix: string, { inputs, build }: GradientCase): void {
    const graph = this.#graph;
    const values = inputs.map(({ shape }, i) => graph.input(`${prefix}x${i}`, 'float32', shape));
    const y = build(values, graph);
    // The weights of the sum are an input: gradients of linear functions would otherwise be constants, which ONNX Runtime folds on the CPU.
    const weights = graph.input(`${prefix}weights`, 'float32', y.shape);
    const loss = reduceSum(mul(y, weights), [...y.shape.keys()]);
    graph.output(`${prefix}y`, y);
    for (const [i, gradient] of gradients(loss, values).entries()) graph.output(`${prefix}d${i}`, gradient);
    this.#inputs[`${prefix}weights`] = { dtype: 'float32', shape: y.shape, data: noise(sizeOf(y.shape), 77, 0.5, 1.5) };
    for (const [i, { shape, data }] of inputs.entries()) {
      this.#inputs[`${prefix}x${i}`] = { dtype: 'float32', shape, data };
    }
  }

  compile(): OperatorProbe {
    return { graph: this.#graph.compile(), inputs: this.#inputs };
  }
}

/** All outputs of a probe on a runtime, as plain numbers by name. Throws TensorError. */
export async function runProbe(runtime: Runtime, probe: OperatorProbe): Promise<Record<string, number[]>> {
  const program = await runtime.load(probe.graph);
  try {
    const outputs = await program.run(probe.inputs);
    return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, [...data]]));
  } finally {
    await program.close();
  }
}

/** The largest difference between two runs of a probe, relative to the largest value of the same output. */
export function largestDifference(found: Record<string, number[]>, reference: Record<string, number[]>): number {
  let worst = 0;
  for (const [name, values] of Object.entries(reference)) {
    const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
    values.forEach((value, i) => {
      const difference = Math.abs((found[name]?.[i] ?? Number.NaN) - value) / scale;
      worst = Math.max(worst, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
    });
  }
  return worst;
}
