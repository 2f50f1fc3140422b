// What a pre-training worker carries from one round to the next: AdamW's moments and the error feedback. It begins a round with what it
// left after the round before, if its work of that round was merged, and otherwise afresh: so whoever repeats its rounds from its
// first one has the same state, and a state that is shown later is proven by the hash in its work.
import { bytesToHex } from '@noble/hashes/utils.js';
import type { ParameterSpec, Weights } from '../../model/config.ts';
import { decodeSafetensors, encodeSafetensors } from '../../model/safetensors.ts';
import { sha256Beside } from '../../protocol/hash.ts';
import { sizeOf } from '../../tensor/shape.ts';
import type { OptimiserState } from '../../training/inner.ts';
import { decodeBundle } from '../bundle.ts';
import type { Device, Round } from '../game.ts';
import { decodeWork } from './work.ts';

export interface Carried {
  readonly moments: OptimiserState;
  readonly error: Weights;
}

/** Stands in the work of who begins afresh. */
export const AFRESH = new Uint8Array(32);

/** A state with the hash that names it: what a round begins with. */
export interface Start {
  readonly hash: Uint8Array;
  readonly carried: Carried;
}

/** Before the first step. */
export function afresh(specs: readonly ParameterSpec[]): Carried {
  return { moments: { steps: 0, first: zeros(specs), second: zeros(specs) }, error: zeros(specs) };
}

const GROUPS = ['first.', 'second.', 'error.'] as const;

/** As a safetensors file; its SHA-256 is the state's hash. */
export function encodeCarried(specs: readonly ParameterSpec[], { moments, error }: Carried): Uint8Array {
  const group = (prefix: string, values: Weights) =>
    specs.map(({ name, shape }) => ({ name: `${prefix}${name}`, shape, data: values.get(name)! }));
  return encodeSafetensors([
    // A whole number as a tensor beside the others; float32 holds every integer up to 2^24.
    { name: 'steps', shape: [1], data: Float32Array.of(moments.steps) },
    ...group('first.', moments.first),
    ...group('second.', moments.second),
    ...group('error.', error),
  ]);
}

/** Reads what encodeCarried wrote; null where it is anything else. */
export function decodeCarried(specs: readonly ParameterSpec[], bytes: Uint8Array): Carried | null {
  try {
    const tensors = decodeSafetensors(bytes);
    const [first, second, error] = GROUPS.map(
      (prefix) => new Map(specs.map(({ name }) => [name, tensors.get(`${prefix}${name}`)!.data])),
    );
    const whole = [first, second, error].every((values) =>
      specs.every(({ name, shape }) => values.get(name)!.length === sizeOf(shape)),
    );
    const steps = tensors.get('steps')!.data[0];
    return whole && Number.isSafeInteger(steps) && steps >= 0 ? { moments: { steps, first, second }, error } : null;
  } catch {
    return null;
  }
}

/** The hashes of the states that the work merged last leaves: whoever begins a round begins with its own one of these, or afresh. */
export async function statesLeft(device: Device, { last }: Round): Promise<Set<string>> {
  const merged = last === null ? [] : decodeBundle(await device.fetchBlob(last));
  return new Set(merged.map(({ work }) => bytesToHex(decodeWork(work).end)));
}

/** Two are kept: a round that is tried again begins where it began before. */
const slotOf = (round: number): string => `carried.${round % 2}`;

/** Keeps what a worker has after a round; its hash. */
export async function keepCarried(
  specs: readonly ParameterSpec[],
  { drawer }: Device,
  round: number,
  carried: Carried,
): Promise<Uint8Array> {
  const bytes = encodeCarried(specs, carried);
  await drawer.put(slotOf(round), bytes);
  return sha256Beside(bytes);
}

/** What a worker begins a round with. A drawer that is empty or damaged means afresh, never an error. */
export async function startOf(specs: readonly ParameterSpec[], device: Device, round: Round): Promise<Start> {
  const bytes = await device.drawer.get(slotOf(round.number + 1));
  const hash = bytes && (await sha256Beside(bytes));
  const left = hash && (await statesLeft(device, round)).has(bytesToHex(hash));
  const carried = left && decodeCarried(specs, bytes);
  return carried ? { hash, carried } : { hash: AFRESH, carried: afresh(specs) };
}

function zeros(specs: readonly ParameterSpec[]): Map<string, Float32Array> {
  return new Map(specs.map(({ name, shape }) => [name, new Float32Array(sizeOf(shape))]));
}
