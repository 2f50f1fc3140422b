// What a pre-training worker carries from one round to the next: AdamW's moments and the error feedback. It begins a round with what it
// left after the round before, if its work of that round was merged, and otherwise afresh: so whoever repeats its rounds from its
// first one has the same state, and a state that is shown later is proven by the hash in its work.
import { bytesToHex } from '@noble/hashes/utils.js';
import { CodedError } from '../../errors.ts';
import type { ParameterSpec, Weights } from '../../model/config.ts';
import { ModelError } from '../../model/errors.ts';
import { fetchedOnce, readParts, writeParts } from '../../model/parts.ts';
import { decodeModelManifest, encodeModelManifest, partsOf, type TensorSpec } from '../../model/tensor-manifest.ts';
import { sha256Beside } from '../../protocol/hash.ts';
import { sizeOf } from '../../tensor/shape.ts';
import type { OptimiserState } from '../../training/inner.ts';
import { decodeBundle } from '../bundle.ts';
import type { Drawer } from '../drawer.ts';
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

const CARRIED_GROUPS = ['first', 'second', 'error'] as const;
export type CarriedGroup = (typeof CARRIED_GROUPS)[number];

/** A state's tensors: how many steps were taken, then three for each weight. */
const tensorsOf = (specs: readonly ParameterSpec[]): TensorSpec[] => [
  // A whole number as a tensor beside the others; float32 holds every integer up to 2^24.
  { name: 'steps', dtype: 'f32', shape: [1] },
  ...CARRIED_GROUPS.flatMap((group) =>
    specs.map(({ name, shape }) => ({ name: `${group}.${name}`, dtype: 'f32' as const, shape })),
  ),
];

function* valuesOf(specs: readonly ParameterSpec[], { moments, error }: Carried): Generator<Float32Array> {
  yield Float32Array.of(moments.steps);
  for (const values of [moments.first, moments.second, error]) for (const { name } of specs) yield values.get(name)!;
}

/** The hash of the state that work leaves for its worker's next round; null: none that is of use there. */
export type EndOf = (work: Uint8Array) => Uint8Array | null;
const endOfWork: EndOf = (work) => decodeWork(work).end;

/** The hashes of the states that the work merged last leaves: whoever begins a round begins with its own one of these, or afresh. */
export async function statesLeft(
  { fetchBlob }: Pick<Device, 'fetchBlob'>,
  { last, own }: Round,
  endOf: EndOf = endOfWork,
): Promise<Set<string>> {
  let merged: Uint8Array[] = [];
  // A worker looks at its own work alone: what it downloads must not grow with the workers.
  if (own !== undefined) merged = own === null ? [] : [await fetchBlob(own)];
  else if (last !== null) merged = decodeBundle(await fetchBlob(last)).map(({ work }) => work);
  return new Set(
    merged
      .map(endOf)
      .filter((end) => end !== null)
      .map((end) => bytesToHex(end)),
  );
}

/** Two are kept: a round that is tried again begins where it began before. */
const slotOf = (round: number): string => `carried.${round % 2}`;

/** Keeps what a worker has after a round, part by part; the hash of its manifest. The arrays are not to be changed afterwards. */
export const keepCarried = (
  specs: readonly ParameterSpec[],
  device: Pick<Device, 'drawer'>,
  round: number,
  carried: Carried,
): Promise<Uint8Array> => keepCarriedTensors(specs, device, round, valuesOf(specs, carried));

/**
 * The same for tensors that come one after the other: how many steps were taken, as one value, then of all weights the first moments, of all the
 * second ones, of all the error feedback.
 */
export const keepCarriedTensors = (
  specs: readonly ParameterSpec[],
  { drawer }: Pick<Device, 'drawer'>,
  round: number,
  tensors: Tensors,
): Promise<Uint8Array> => keepInSlot(specs, drawer, slotOf(round), tensors);

type Tensors = Iterable<Float32Array> | AsyncIterable<Float32Array>;

/** The same under a name of one's own. */
export async function keepInSlot(
  specs: readonly ParameterSpec[],
  drawer: Drawer,
  slot: string,
  tensors: Tensors,
): Promise<Uint8Array> {
  let parts = 0;
  const put = async (bytes: Uint8Array): Promise<string> => {
    await putPiece(drawer, slot, parts++, bytes);
    return bytesToHex(await sha256Beside(bytes));
  };
  const manifest = encodeModelManifest(await writeParts(tensorsOf(specs), tensors, put));
  await putPiece(drawer, slot, null, manifest);
  return sha256Beside(manifest);
}

const pieceOf = (slot: string, part: number | null): string => (part === null ? slot : `${slot}.${part}`);
export const putPiece = (drawer: Drawer, slot: string, part: number | null, bytes: Uint8Array): Promise<void> =>
  drawer.put(pieceOf(slot, part), bytes);

/** Deletes what is kept under a name. */
export async function emptySlot(specs: readonly ParameterSpec[], drawer: Drawer, slot: string): Promise<void> {
  const parts = partsOf(tensorsOf(specs)).keys();
  for (const part of [null, ...parts]) await drawer.delete(pieceOf(slot, part));
}

/** What was kept, piece by piece: its manifest, null, or a part of it by its place. null: it is not there. */
export type KeptPieces = (part: number | null) => Promise<Uint8Array | null>;

export const piecesIn =
  (drawer: Drawer, slot: string): KeptPieces =>
  (part) =>
    drawer.get(pieceOf(slot, part));

/** What was kept after a round. */
export const keptPieces = ({ drawer }: Pick<Device, 'drawer'>, round: number): KeptPieces =>
  piecesIn(drawer, slotOf(round));

/** Gets a tensor of a state that is read; whoever takes it may keep it. */
export type TakeCarried = (group: CarriedGroup, name: string, values: Float32Array) => Promise<void> | void;

/** A state of these tensors from its pieces; null where one is missing or damaged. `wanted` says by the hash whether it is to be read at all. */
export async function readCarried(
  specs: readonly ParameterSpec[],
  piece: KeptPieces,
  wanted: (hash: string) => Promise<boolean>,
): Promise<Start | null> {
  const [first, second, error] = CARRIED_GROUPS.map(() => new Map<string, Float32Array>());
  const found = { first, second, error };
  const read = await takeCarried(specs, piece, wanted, (group, name, values) => void found[group].set(name, values));
  return read && { hash: read.hash, carried: { moments: { steps: read.steps, first, second }, error } };
}

/** A state as it is read tensor by tensor, for who has no room for all of it. */
export interface Taken {
  readonly hash: Uint8Array;
  readonly steps: number;
  /** Its error feedback of some tensors, read once more. Throws ModelError `wrong-parts` where it is gone or damaged by now. */
  error(names: readonly string[]): Promise<Weights>;
}

/** The same, tensor by tensor. That a piece is damaged may show after some tensors were taken. */
export async function takeCarried(
  specs: readonly ParameterSpec[],
  piece: KeptPieces,
  wanted: (hash: string) => Promise<boolean>,
  take: TakeCarried,
): Promise<Taken | null> {
  const bytes = await piece(null);
  const hash = bytes && (await sha256Beside(bytes));
  if (!hash || !(await wanted(bytesToHex(hash)))) return null;
  try {
    const manifest = decodeModelManifest(bytes);
    const expected = encodeModelManifest({ tensors: tensorsOf(specs), parts: manifest.parts });
    if (bytesToHex(await sha256Beside(expected)) !== bytesToHex(hash)) return null;
    const fetch = fetchedOnce(async (part) => {
      const found = await piece(manifest.parts.indexOf(part));
      if (found && bytesToHex(await sha256Beside(found)) === part) return found;
      throw new ModelError('wrong-parts', `part ${part} of what was carried is gone or damaged`);
    });
    let steps = 0;
    let at = -1; // the first tensor is the number of steps
    for await (const values of readParts(manifest, fetch)) {
      if (at < 0) steps = values[0];
      else await take(CARRIED_GROUPS[Math.floor(at / specs.length)], specs[at % specs.length].name, values);
      at++;
    }
    return {
      hash,
      steps,
      error: (names) => readErrors(specs, names, (isWanted) => readParts(manifest, fetch, isWanted)),
    };
  } catch (error) {
    if (error instanceof CodedError) return null;
    throw error;
  }
}

async function readErrors(
  specs: readonly ParameterSpec[],
  names: readonly string[],
  read: (isWanted: (tensor: number) => boolean) => AsyncIterable<Float32Array>,
): Promise<Weights> {
  const before = 1 + CARRIED_GROUPS.indexOf('error') * specs.length;
  const wanted = specs.map(({ name }) => name).filter((name) => names.includes(name));
  const found = new Map<string, Float32Array>();
  for await (const values of read((tensor) => tensor >= before && names.includes(specs[tensor - before].name))) {
    found.set(wanted[found.size], values);
  }
  return found;
}

/** What a worker begins a round with. A drawer that is empty or damaged means afresh, never an error. */
export async function startOf(
  specs: readonly ParameterSpec[],
  device: Pick<Device, 'drawer' | 'fetchBlob'>,
  round: Round,
  endOf?: EndOf,
): Promise<Start> {
  const known = await readCarried(specs, keptPieces(device, round.number + 1), isLeftBefore(device, round, endOf));
  return known ?? { hash: AFRESH, carried: afresh(specs) };
}

/** The same, tensor by tensor; null: afresh, also where some tensors were taken before damage showed. */
export const takeStart = (
  specs: readonly ParameterSpec[],
  device: Pick<Device, 'drawer' | 'fetchBlob'>,
  round: Round,
  endOf: EndOf,
  take: TakeCarried,
): Promise<Taken | null> =>
  takeCarried(specs, keptPieces(device, round.number + 1), isLeftBefore(device, round, endOf), take);

/** Whether a state is one of statesLeft. */
const isLeftBefore =
  (device: Pick<Device, 'fetchBlob'>, round: Round, endOf?: EndOf) =>
  async (hash: string): Promise<boolean> =>
    (await statesLeft(device, round, endOf)).has(hash);

function zeros(specs: readonly ParameterSpec[]): Map<string, Float32Array> {
  return new Map(specs.map(({ name, shape }) => [name, new Float32Array(sizeOf(shape))]));
}
