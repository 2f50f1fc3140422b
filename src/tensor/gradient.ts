// Reverse-mode differentiation: walks the tape backwards once, and each operator's own rule adds nodes.
import { TensorError } from './errors.ts';
import type { Value } from './graph.ts';
import { add } from './ops.ts';
import { reshape } from './ops-shape.ts';
import { sizeOf } from './shape.ts';

/**
 * Adds to the graph the gradients of a scalar `loss` with respect to each of `values`, in their order.
 * @throws TensorError no-gradient when the loss is not a float32 scalar or does not depend on one of them.
 */
export function gradients(loss: Value, values: readonly Value[]): Value[] {
  if (loss.dtype !== 'float32' || sizeOf(loss.shape) !== 1) {
    throw new TensorError(
      'no-gradient',
      `gradients: expected a float32 scalar loss, got ${loss.dtype} [${loss.shape}]`,
    );
  }
  const { graph } = loss;
  // Rules recognise `graph.scalar(1)` and skip the multiplication.
  return gradientsFrom(
    loss,
    graph.untaped(() => reshape(graph.scalar(1), loss.shape)),
    values,
  );
}

/** The same for an output by which the gradient of the loss is known, for example what the next stage of a model sends back. */
export function gradientsFrom(output: Value, gradient: Value, values: readonly Value[]): Value[] {
  const { graph } = output;
  const tape = graph.tape;
  // Forward: mark what depends on the given values. Everything else needs no gradient.
  const depends = new Set<Value>(values);
  for (const { inputs, outputs } of tape) {
    if (inputs.some((value) => depends.has(value))) for (const output of outputs) depends.add(output);
  }
  // Contributions are summed only when a gradient is first read, so that a single contribution costs no addition.
  const found = new Map<Value, Value>();
  const give = (value: Value, dy: Value): void => {
    const before = found.get(value);
    found.set(value, before ? add(before, dy) : dy);
  };
  return graph.untaped(() => {
    found.set(output, gradient);
    for (const { inputs, outputs, rule } of tape.toReversed()) {
      const dy = outputs.map((output) => found.get(output) ?? null);
      const wanted = inputs.map((value) => depends.has(value));
      if (dy.every((value) => !value) || !wanted.includes(true)) continue;
      const dx = rule(dy, wanted);
      inputs.forEach((value, i) => {
        const gradient = dx[i];
        if (gradient && wanted[i]) give(value, gradient);
      });
    }
    return values.map((value) => {
      const gradient = found.get(value);
      if (!gradient) {
        throw new TensorError('no-gradient', `gradients: the loss does not depend on ${value.name}`, {
          name: value.name,
        });
      }
      return gradient;
    });
  });
}
