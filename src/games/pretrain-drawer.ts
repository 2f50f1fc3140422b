// What a pre-training worker keeps in its drawer: the error feedback of its last round and AdamW's moments, as safetensors files.
import type { ParameterSpec, Weights } from '../model/config.ts';
import { decodeSafetensors, encodeSafetensors } from '../model/safetensors.ts';
import type { OptimiserState } from '../training/inner.ts';

/** A whole number as a tensor beside the others; float32 holds every integer up to 2^24. */
const numberTensor = (name: string, value: number) => ({ name, shape: [1], data: Float32Array.of(value) });

const group = (specs: readonly ParameterSpec[], prefix: string, values: Weights) =>
  specs.map(({ name, shape }) => ({ name: `${prefix}${name}`, shape, data: values.get(name)! }));

/** The rest of a round as bytes, with the round that it belongs to. */
export function encodeErrorFeedback(specs: readonly ParameterSpec[], error: Weights, round: number): Uint8Array {
  return encodeSafetensors([numberTensor('round', round), ...group(specs, 'error.', error)]);
}

/** The rest of the given round, or zeros when the drawer is empty, damaged or holds another round's. */
export function decodeErrorFeedback(
  specs: readonly ParameterSpec[],
  bytes: Uint8Array | null,
  round: number,
): Map<string, Float32Array> {
  const kept = bytes && readOrNull(bytes, specs, 'round', ['error.']);
  return kept && kept.number === round ? kept.groups[0] : zeros(specs);
}

/** AdamW's state before the first step. */
export function zeroMoments(specs: readonly ParameterSpec[]): OptimiserState {
  return { steps: 0, first: zeros(specs), second: zeros(specs) };
}

/** AdamW's state as bytes. */
export function encodeOptimiser(specs: readonly ParameterSpec[], state: OptimiserState): Uint8Array {
  const { steps, first, second } = state;
  return encodeSafetensors([
    numberTensor('steps', steps),
    ...group(specs, 'first.', first),
    ...group(specs, 'second.', second),
  ]);
}

/** AdamW's state, or null when the drawer is empty or damaged: a worker then starts with fresh moments. */
export function decodeOptimiser(specs: readonly ParameterSpec[], bytes: Uint8Array | null): OptimiserState | null {
  const kept = bytes && readOrNull(bytes, specs, 'steps', ['first.', 'second.']);
  return kept && { steps: kept.number, first: kept.groups[0], second: kept.groups[1] };
}

/** A drawer is a convenience of this device alone: anything wrong with it means starting afresh, never an error. */
function readOrNull(bytes: Uint8Array, specs: readonly ParameterSpec[], counter: string, prefixes: readonly string[]) {
  try {
    const tensors = decodeSafetensors(bytes);
    const groups = prefixes.map(
      (prefix) => new Map(specs.map(({ name }) => [name, tensors.get(`${prefix}${name}`)!.data])),
    );
    const whole = groups.every((values) =>
      specs.every(({ name, shape }) => values.get(name)!.length === shape.reduce((a, b) => a * b, 1)),
    );
    const number = tensors.get(counter)!.data[0];
    return whole && Number.isSafeInteger(number) && number >= 0 ? { groups, number } : null;
  } catch {
    return null;
  }
}

function zeros(specs: readonly ParameterSpec[]): Map<string, Float32Array> {
  return new Map(specs.map(({ name, shape }) => [name, new Float32Array(shape.reduce((a, b) => a * b, 1))]));
}
