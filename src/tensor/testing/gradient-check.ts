// Compares gradients from the graph with finite differences of the same graph on one runtime; every gradient rule must pass this check.
import { gradients } from '../gradient.ts';
import { Graph } from '../graph.ts';
import { type GradientCase, noise } from '../operator-case.ts';
import { mul } from '../ops.ts';
import { reduceSum } from '../ops-shape.ts';
import type { Runtime, TensorMap } from '../runtime.ts';
import { sizeOf } from '../shape.ts';

/** A step within which most functions here are smooth, and large enough that float32's rounding does not dominate the difference. */
const STEP = 2 ** -5;

/**
 * The largest difference between a gradient and its finite difference, over all elements of all inputs, relative to the
 * largest gradient of that input. The differentiated scalar is a weighted sum of the case's result, so that a gradient that
 * lands on the wrong element shows.
 */
export async function gradientError(runtime: Runtime, { inputs, build }: GradientCase): Promise<number> {
  const graph = new Graph();
  const values = inputs.map(({ shape }, i) => graph.input(`x${i}`, 'float32', shape));
  const y = build(values, graph);
  const weights = noise(sizeOf(y.shape), 77, 0.5, 1.5).map((weight, i) => (i % 3 === 1 ? -weight : weight));
  const weighted = mul(y, graph.constant('float32', y.shape, weights));
  const loss = reduceSum(weighted, [...y.shape.keys()]);
  const found = gradients(loss, values);
  graph.output('y', y);
  for (const [i, gradient] of found.entries()) graph.output(`d${i}`, gradient);
  const program = await runtime.load(graph.compile());
  try {
    const run = (changed: number, data: Float32Array): Promise<TensorMap> =>
      program.run(
        Object.fromEntries(
          inputs.map((x, i) => [`x${i}`, { dtype: 'float32', shape: x.shape, data: i === changed ? data : x.data }]),
        ),
      );
    // The sum is in double precision, so that only the operator itself rounds to float32.
    const at = async (input: number, element: number, offset: number): Promise<number> => {
      const data = inputs[input].data.slice();
      data[element] += offset;
      const result = (await run(input, data)).y.data;
      return weights.reduce((sum, weight, i) => sum + weight * result[i], 0);
    };
    const exact = await run(-1, new Float32Array());
    let worst = 0;
    for (const [input, { data, shape }] of inputs.entries()) {
      const gradient = exact[`d${input}`];
      if (gradient.shape.join() !== shape.join()) throw new Error(`gradient ${input} has shape [${gradient.shape}]`);
      const scale = Array.from(gradient.data).reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
      for (let element = 0; element < data.length; element++) {
        // Two central differences, extrapolated (Richardson): the error falls with the fourth power of the step.
        const near = (await at(input, element, STEP)) - (await at(input, element, -STEP));
        const far = (await at(input, element, 2 * STEP)) - (await at(input, element, -2 * STEP));
        const numeric = (8 * near - far) / (12 * STEP);
        const difference = Math.abs(numeric - gradient.data[element]) / scale;
        worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
      }
    }
    return worst;
  } finally {
    await program.close();
  }
}
