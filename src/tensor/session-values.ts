// The inputs, outputs and states of a session: whether a graph's names and shapes are those of its ONNX, and how long free dimensions are.
import type { InferenceSession } from 'onnxruntime-node';
import { TensorError } from './errors.ts';
import type { CompiledGraph } from './runtime.ts';

/** The names of a session's values with their types; ONNX Runtime has already checked the graph itself. */
export function typesOf(names: readonly string[], metadata: readonly InferenceSession.ValueMetadata[]) {
  return new Map(
    names.map((name, i) => {
      const about = metadata[i];
      return [name, about.isTensor ? { dtype: about.type, shape: about.shape } : { dtype: 'not a tensor', shape: [] }];
    }),
  );
}

export interface ValueType {
  readonly dtype: 'float32' | 'int32';
  readonly shape: readonly (number | string)[];
}

export type ValueTypes = ReturnType<typeof typesOf>;

/** The lengths of free dimensions, by their names. */
export type Lengths = Map<string, number>;

/** Whether a shape is as declared. Free dimensions get their lengths from the first shape that has them; all others must agree. */
export function sameShape(
  declared: readonly (number | string)[],
  shape: readonly number[],
  lengths: Lengths = new Map(),
): boolean {
  if (declared.length !== shape.length) return false;
  return declared.every((dimension, i) => {
    if (typeof dimension === 'number') return dimension === shape[i];
    if (!lengths.has(dimension)) lengths.set(dimension, shape[i]);
    return lengths.get(dimension) === shape[i];
  });
}

/** Pages that are not cross-origin isolated have no SharedArrayBuffer. */
export const isShared = ({ buffer }: ArrayBufferView): boolean =>
  typeof SharedArrayBuffer === 'function' && buffer instanceof SharedArrayBuffer;

export function quoted(names: Iterable<string>): string {
  const list = [...names];
  const shown = list.slice(0, 8).map((name) => `"${name}"`);
  return list.length > shown.length ? `${shown.join(', ')} and ${list.length - shown.length} more` : shown.join(', ');
}

/** Refuses a CompiledGraph whose names are not those of the ONNX graph in it. */
export function checkNames(graph: CompiledGraph, inputs: ValueTypes, outputs: ValueTypes): void {
  const claimedInputs = [...graph.inputs, ...graph.states.map((state) => state.name)];
  const claimedOutputs = [...graph.outputs, ...graph.states.flatMap((state) => state.next ?? [])];
  for (const [kind, claimed, known] of [
    ['input', claimedInputs, inputs],
    ['output', claimedOutputs, outputs],
  ] as const) {
    const seen = new Set<string>();
    for (const name of claimed) {
      if (seen.has(name)) throw new TensorError('bad-graph', `load: ${kind} "${name}" is named twice`);
      seen.add(name);
      const type = known.get(name);
      if (type === undefined) {
        throw new TensorError(
          'unknown-name',
          `load: the ONNX graph has no ${kind} "${name}"; it has ${quoted(known.keys())}`,
        );
      }
      if (type.dtype !== 'float32' && type.dtype !== 'int32') {
        throw new TensorError('bad-dtype', `load: ${kind} "${name}" must be float32 or int32, it is ${type.dtype}`);
      }
    }
  }
  const free = new Set(graph.inputs.flatMap((name) => inputs.get(name)!.shape));
  for (const name of graph.outputs) {
    const unknown = outputs.get(name)!.shape.find((dimension) => typeof dimension === 'string' && !free.has(dimension));
    if (unknown === undefined) continue;
    throw new TensorError('bad-shape', `load: no input says how long "${unknown}" is, which output "${name}" has`);
  }
  const unfed = [...inputs.keys()].filter((name) => !claimedInputs.includes(name));
  if (unfed.length > 0) throw new TensorError('missing-input', `load: nothing feeds the input ${quoted(unfed)}`);
  for (const { name, next, shape } of graph.states) {
    for (const type of [inputs.get(name), next === null ? undefined : outputs.get(next)]) {
      if (type !== undefined && (type.dtype !== 'float32' || !sameShape(type.shape, shape))) {
        throw new TensorError(
          'bad-shape',
          `load: state "${name}" must be float32 [${shape}], the ONNX graph has ${type.dtype} [${type.shape}]`,
        );
      }
    }
  }
}
