// A game's state as blobs, whose last one names it in the log: canonical bytes, or a manifest of tensors and the parts that hold them.
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Weights } from '../model/config.ts';
import { ModelError } from '../model/errors.ts';
import { fetchedOnce, readParts, writeParts } from '../model/parts.ts';
import {
  decodeModelManifest,
  encodeModelManifest,
  type ModelManifest,
  type TensorSpec,
} from '../model/tensor-manifest.ts';
import { sha256Beside } from '../protocol/hash.ts';
import { shapeText } from '../tensor/shape.ts';
import { GameError } from './errors.ts';
import {
  type AcceptedWork,
  type AnyGame,
  type Cut,
  hasTensors,
  isStaged,
  type MergeTensor,
  type TensorGame,
  type TensorSource,
} from './game.ts';

/** Stores a blob; resolves with its SHA-256. */
export type PutBlob = (bytes: Uint8Array) => Promise<string>;
/** A blob by its hash, verified. */
export type FetchBlob = (hash: string) => Promise<Uint8Array>;

/** What is kept of a run: its state, or what its steps have left out, which is as large and always float32. */
export type Kept = 'state' | 'rest';

const specsOf = (game: Pick<TensorGame<unknown, unknown>, 'tensors'>, params: unknown, kept: Kept): TensorSpec[] =>
  game.tensors(params).map((spec) => (kept === 'rest' ? { ...spec, dtype: 'f32' } : spec));

/** Stores a state; resolves with its hash, which is that of the blob that was put last. Throws what `put` throws, ModelError, GameError. */
export async function keepState(
  game: AnyGame,
  params: unknown,
  state: unknown,
  put: PutBlob,
  kept: Kept = 'state',
): Promise<string> {
  if (!hasTensors(game)) return put(await game.encodeState(params, state));
  const specs = specsOf(game, params, kept);
  return keepTensors(specs, valuesOf(specs, state as Weights), put);
}

/** A state's hash in the log. */
export const hashOfState = (game: AnyGame, params: unknown, state: unknown, kept?: Kept): Promise<string> =>
  keepState(game, params, state, async (bytes) => bytesToHex(await sha256Beside(bytes)), kept);

/**
 * The state of a hash; in games with stages, what reads it (openSource). Throws what `fetch` throws, and ModelError, GameError or the game's own
 * error for blobs that are no such state.
 */
export async function readState(
  game: AnyGame,
  params: unknown,
  hash: string,
  fetch: FetchBlob,
  kept: Kept = 'state',
): Promise<unknown> {
  if (!hasTensors(game)) return await game.decodeState(params, await fetch(hash));
  const specs = specsOf(game, params, kept);
  if (isStaged(game)) return openTensors(specs, hash, fetch);
  const state = new Map<string, Float32Array>();
  for await (const values of readTensors(specs, hash, fetch)) state.set(specs[state.size].name, values);
  return state;
}

/**
 * A state that is read tensor by tensor: its manifest is fetched by the first reading, and of its parts those that hold what is read. `read` throws
 * what `fetch` throws, and ModelError, as readState does.
 */
export const openSource = (
  game: Pick<TensorGame<unknown, unknown>, 'tensors'>,
  params: unknown,
  hash: string,
  fetch: FetchBlob,
): TensorSource => openTensors(game.tensors(params), hash, fetch);

function openTensors(specs: readonly TensorSpec[], hash: string, fetch: FetchBlob): TensorSource {
  const indices = new Map(specs.map(({ name }, index) => [name, index]));
  let opened: Promise<ModelManifest> | null = null;
  const fetchPart = fetchedOnce(fetch);
  const manifest = (): Promise<ModelManifest> => {
    opened ??= fetch(hash).then((bytes) => manifestOf(specs, bytes));
    opened.catch(() => {
      opened = null; // the next reading fetches it again
    });
    return opened;
  };
  return {
    async read(names) {
      const wanted = new Set(names.map((name) => indexOf(indices, name)));
      const inOrder = [...wanted].sort((a, b) => a - b);
      const read = new Map<string, Float32Array>();
      if (inOrder.length === 0) return read;
      const values = readParts(await manifest(), fetchPart, (tensor) => wanted.has(tensor));
      for await (const tensor of values) read.set(specs[inOrder[read.size]].name, tensor);
      return read;
    },
  };
}

function indexOf(indices: ReadonlyMap<string, number>, name: string): number {
  const index = indices.get(name);
  if (index !== undefined) return index;
  throw new ModelError('wrong-weights', `"${name}" is no weight of this model`, { name });
}

/** The tensors of a model, one after the other: throws as readState does. */
export async function* readTensors(
  specs: readonly TensorSpec[],
  hash: string,
  fetch: FetchBlob,
): AsyncGenerator<Float32Array> {
  yield* readParts(manifestOf(specs, await fetch(hash)), fetch);
}

/** Reads every blob of a state and keeps none: throws as readState does. */
export async function checkState(
  game: AnyGame,
  params: unknown,
  hash: string,
  fetch: FetchBlob,
  kept: Kept = 'state',
): Promise<void> {
  if (!hasTensors(game)) await game.decodeState(params, await fetch(hash));
  else for await (const _ of readTensors(specsOf(game, params, kept), hash, fetch));
}

type Tensors<Params> = Pick<TensorGame<Params, unknown>, 'tensors' | 'openMerge'>;

/** The state after a round, in memory of its own. Throws for work that cannot be merged. */
export function mergeState<Params>(
  game: Tensors<Params>,
  params: Params,
  state: Weights,
  accepted: readonly AcceptedWork[],
): Weights;
export function mergeState<State>(
  game: AnyGame,
  params: unknown,
  state: State,
  accepted: readonly AcceptedWork[],
): State | Promise<State>;
export function mergeState(
  game: AnyGame | Tensors<unknown>,
  params: unknown,
  state: unknown,
  accepted: readonly AcceptedWork[],
): unknown {
  if (!('tensors' in game)) return game.merge(params, state, accepted);
  const specs = game.tensors(params);
  const merge = game.openMerge(params, accepted);
  return new Map(specs.map((spec) => [spec.name, merge(spec, (state as Weights).get(spec.name)!)]));
}

/** The state after a step, in memory of its own. Throws what the game throws for bytes that are no step. */
export async function followState<State>(
  game: AnyGame,
  params: unknown,
  state: State,
  step: Uint8Array,
): Promise<State> {
  if (!hasTensors(game)) return orNoSteps(game, game.follow)(params, state, step);
  const follow = orNoSteps(game, game.openFollow)(params, step);
  return new Map(
    game.tensors(params).map((spec) => [spec.name, follow(spec, (state as Weights).get(spec.name)!)]),
  ) as State;
}

/**
 * A round's work as a step, with what it leaves out; `rest`: what the steps before have left out, `state`: what the step goes on from. null: the
 * game, or its settings, have no steps, and everybody merges. Throws for work that cannot be merged.
 */
export async function cutState<State>(
  game: AnyGame,
  params: unknown,
  { state, rest }: { readonly state: State; readonly rest: State | null },
  accepted: readonly AcceptedWork[],
): Promise<Cut<State> | null> {
  if (!hasTensors(game)) return (await game.cut?.(params, rest, accepted)) ?? null;
  const cut = game.openCut?.(params, accepted);
  if (!cut) return null;
  const [before, left] = [state as Weights, rest as Weights | null];
  const leave = (spec: TensorSpec) => cut.tensor(spec, left?.get(spec.name), before.get(spec.name));
  const now = new Map(game.tensors(params).map((spec) => [spec.name, leave(spec)]));
  return { step: cut.step(), rest: now as State };
}

/** A state as a hash names it, and what the steps before have left out; null: nothing. */
export interface KeptState {
  readonly model: string;
  readonly rest: string | null;
}

/**
 * cutState and followState from blobs to blobs: resolves with the step, and the hashes of the state after it and of what it leaves out. null: no
 * steps here. Memory never holds more than one tensor and the work.
 */
export async function cutKept(
  game: AnyGame,
  params: unknown,
  before: KeptState,
  accepted: readonly AcceptedWork[],
  blobs: { readonly fetch: FetchBlob; readonly put: PutBlob },
): Promise<(KeptState & { readonly step: Uint8Array }) | null> {
  const { fetch, put } = blobs;
  if (!hasTensors(game)) {
    const rest = before.rest === null ? null : await readState(game, params, before.rest, fetch);
    const state = await readState(game, params, before.model, fetch);
    const cut = await cutState(game, params, { state, rest }, accepted);
    if (!cut) return null;
    const model = await keepState(game, params, await followState(game, params, state, cut.step), put);
    return { model, rest: await keepState(game, params, cut.rest, put), step: cut.step };
  }
  const cut = game.openCut?.(params, accepted);
  if (!cut) return null;
  const specs = game.tensors(params);
  const whole = specsOf(game, params, 'rest');
  const rests = before.rest === null ? null : readTensors(whole, before.rest, fetch);
  // The model is read for what rounding takes from it; where nothing is rounded, not at all.
  const models = specs.every(({ dtype }) => dtype === 'f32') ? null : readTensors(specs, before.model, fetch);
  const left = async function* (): AsyncGenerator<Float32Array> {
    for (const spec of specs) yield cut.tensor(spec, await next(rests), await next(models));
  };
  const rest = await keepTensors(whole, left(), put);
  const step = cut.step();
  const follow = orNoSteps(game, game.openFollow)(params, step);
  return { model: await keepTensors(specs, eachTensor(specs, before.model, fetch, follow), put), rest, step };
}

const next = async (tensors: AsyncGenerator<Float32Array> | null): Promise<Float32Array | undefined> =>
  (await tensors?.next())?.value;

/** Throws GameError bad-step for a game that has no steps. */
function orNoSteps<Follow>({ name }: AnyGame, follow: Follow | undefined): Follow {
  if (follow !== undefined) return follow;
  throw new GameError('bad-step', `expected a round to be merged: the game "${name}" has no steps`);
}

/** What becomes of each tensor of a kept state. */
async function* eachTensor(
  specs: readonly TensorSpec[],
  hash: string,
  fetch: FetchBlob,
  become: MergeTensor,
): AsyncGenerator<Float32Array> {
  let at = 0;
  for await (const values of readTensors(specs, hash, fetch)) yield become(specs[at++], values);
}

/** mergeState from blobs to blobs: resolves with the hash of the state after. Memory never holds more than one tensor and the work. */
export async function mergeKept(
  game: AnyGame,
  params: unknown,
  before: string,
  accepted: readonly AcceptedWork[],
  blobs: { readonly fetch: FetchBlob; readonly put: PutBlob },
): Promise<string> {
  if (!hasTensors(game)) {
    const state = await readState(game, params, before, blobs.fetch);
    return keepState(game, params, await game.merge(params, state, accepted), blobs.put);
  }
  const specs = game.tensors(params);
  const merged = eachTensor(specs, before, blobs.fetch, game.openMerge(params, accepted));
  return keepTensors(specs, merged, blobs.put);
}

/** The blobs that a state's own blob names: none where it is not a manifest. */
export function partsNamedIn(bytes: Uint8Array): readonly string[] {
  try {
    return decodeModelManifest(bytes).parts;
  } catch (error) {
    if (error instanceof ModelError) return [];
    throw error;
  }
}

/** Stores tensors as a state; resolves with its hash. Throws as writeParts does. */
export async function keepTensors(
  specs: readonly TensorSpec[],
  tensors: Iterable<Float32Array> | AsyncIterable<Float32Array>,
  put: PutBlob,
): Promise<string> {
  return put(encodeModelManifest(await writeParts(specs, tensors, put)));
}

function* valuesOf(specs: readonly TensorSpec[], state: Weights): Generator<Float32Array> {
  for (const { name } of specs) {
    const values = state.get(name);
    if (!values) throw new ModelError('wrong-weights', `the weight "${name}" is missing`, { name });
    yield values;
  }
}

/** A manifest of exactly these tensors; what is computed in float32 may lie there in another dtype, from which it follows. */
function manifestOf(specs: readonly TensorSpec[], bytes: Uint8Array): ModelManifest {
  const manifest = decodeModelManifest(bytes);
  specs.forEach(({ name, dtype, shape }, i) => {
    const found = manifest.tensors[i];
    if (found?.name === name && found.shape.join() === shape.join()) {
      if (dtype === 'f32' || dtype === found.dtype) return;
      throw new ModelError('wrong-weights', `"${name}" is ${found.dtype}, expected ${dtype}`, { name });
    }
    const fact =
      found?.name === name
        ? `"${name}" has the shape ${shapeText(found.shape)}, expected ${shapeText(shape)}`
        : `tensor ${i} is ${found ? `"${found.name}"` : 'missing'}, expected "${name}"`;
    throw new ModelError('wrong-weights', fact, { name });
  });
  const extra = manifest.tensors[specs.length];
  if (extra) throw new ModelError('wrong-weights', `"${extra.name}" is no weight of this model`, { name: extra.name });
  return manifest;
}
