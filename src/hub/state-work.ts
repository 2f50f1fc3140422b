// What a hub computes with games' states and work, as orders that name blobs and can be carried out in another thread: nothing here knows a disk or a clock.
import { decodeBundle, encodeBundle } from '../games/bundle.ts';
import type { AcceptedWork, AnyGame } from '../games/game.ts';
import { checkState, cutKept, type FetchBlob, type KeptState, mergeKept } from '../games/state.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { missing } from './errors.ts';

/** A game and the blob of its settings, as a run names them. */
export interface GameSpec {
  readonly game: string;
  readonly params: string;
}

/** A run's game with its settings. */
export interface OpenGame {
  readonly game: AnyGame;
  readonly params: unknown;
}

/**
 * Games with their settings, each opened once by what is given first; one that failed is opened again.
 * @param most how many are held: the one that was opened first goes
 */
export function openedOnce(
  most = Number.POSITIVE_INFINITY,
): (spec: GameSpec, open: () => Promise<OpenGame>) => Promise<OpenGame> {
  const games = new Map<string, Promise<OpenGame>>();
  return (spec, open) => {
    const key = `${spec.game}:${spec.params}`;
    const known = games.get(key);
    if (known) return known;
    const opened = open();
    opened.catch(() => games.delete(key)); // the caller sees the error
    games.set(key, opened);
    if (games.size > most) games.delete(games.keys().next().value!);
    return opened;
  };
}

/** Where a blob is put: with those that the log names, or beside them, where the newest state of each run is. */
export type Place = 'named' | 'present';

export type Order =
  /** Whether work has the form that the game demands: throws the game's own error where it has not. */
  | { readonly kind: 'form'; readonly work: string }
  /** Reads a state, all of it. */
  | { readonly kind: 'state'; readonly hash: string }
  | MergeOrder;

/** Merges work into a state. */
export interface MergeOrder {
  readonly kind: 'merge';
  readonly before: KeptState;
  /** The input of a merge: work, from which a bundle is made, or a bundle. */
  readonly from: string | readonly { readonly work: string; readonly weight: number }[];
  /** Whether by a step, in games that have some. */
  readonly steps: boolean;
  readonly put: Place;
}

/** A state that was made, from which bundle, and by which step; null: everybody merges. */
export type Made = KeptState & { readonly bundle: string; readonly step: string | null };

/** Called before a blob is stored, with its place; the blob is stored when the promise resolves. */
export type Putting = (hash: string, place: Place) => Promise<void>;

export interface StateBlobs {
  /** A state, or a part of one: those beside the named ones first. */
  readonly fetch: FetchBlob;
  /** What only an event names, such as work and settings. */
  readonly named: FetchBlob;
  /** Resolves with the blob's hash. */
  put(bytes: Uint8Array, place: Place): Promise<string>;
}

/** The blobs of a hub. Reading throws HubError missing-blob, all throw LedgerError. */
export function stateBlobs(stores: Readonly<Record<Place, BlobStore>>, putting: Putting): StateBlobs {
  const named: FetchBlob = async (hash) => (await stores.named.get(hash)) ?? missing(hash);
  return {
    fetch: async (hash) => (await stores.present.get(hash)) ?? named(hash),
    named,
    async put(bytes, place) {
      // Hashed once, while it is written.
      const draft = stores[place].draft();
      try {
        await draft.write(bytes);
        const { hash } = draft;
        await putting(hash, place);
        await draft.keep();
        return hash;
      } catch (error) {
        await draft.discard().catch(() => {}); // the first error says more
        throw error;
      }
    },
  };
}

/** Carries out an order; resolves with the state where it makes one, else with null. Throws as the game does, and as the blobs do. */
export async function carryOut(open: OpenGame, order: Order, blobs: StateBlobs): Promise<Made | null> {
  const { game, params } = open;
  if (order.kind === 'merge') return merge(open, order, blobs);
  if (order.kind === 'form') await game.checkForm(params, await blobs.named(order.work));
  else await checkState(game, params, order.hash, blobs.fetch);
  return null;
}

async function merge({ game, params }: OpenGame, order: MergeOrder, blobs: StateBlobs): Promise<Made> {
  const { before, from, steps, put: place } = order;
  const [works, bundle] = await taken(from, blobs);
  const state = { fetch: blobs.fetch, put: (bytes: Uint8Array) => blobs.put(bytes, place) };
  const cut = steps ? await cutKept(game, params, before, works, state) : null;
  if (!cut) return { model: await mergeKept(game, params, before.model, works, state), rest: null, bundle, step: null };
  // That of a round that is over is only compared.
  const step = typeof from === 'string' ? sha256Hex(cut.step) : await blobs.put(cut.step, 'named');
  return { ...cut, bundle, step };
}

/** The work, and the hash of its bundle. */
async function taken(from: MergeOrder['from'], { named, put }: StateBlobs): Promise<[AcceptedWork[], string]> {
  if (typeof from === 'string') return [decodeBundle(await named(from)), from];
  const works: AcceptedWork[] = [];
  for (const { work, weight } of from) works.push({ work: await named(work), weight });
  return [works, await put(encodeBundle(works), 'named')];
}
