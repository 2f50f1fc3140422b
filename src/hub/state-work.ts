// What a hub computes with games' states and work, as orders that can be carried out in another thread: nothing here reads a disk or a clock.
import type { AcceptedWork, AnyGame } from '../games/game.ts';
import { checkState, cutKept, type FetchBlob, type KeptState, mergeKept, type PutBlob } from '../games/state.ts';

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
    opened.catch(() => games.delete(key)); // whoever waits for it hears why
    games.set(key, opened);
    if (games.size > most) games.delete(games.keys().next().value!);
    return opened;
  };
}

export type Order =
  /** Whether work has the form that the game demands: throws the game's own error where it has not. */
  | { readonly kind: 'form'; readonly work: Uint8Array }
  /** Reads a state, all of it. */
  | { readonly kind: 'state'; readonly hash: string }
  /** Merges work into a state, where `steps` says so and the game has some by a step. */
  | {
      readonly kind: 'merge';
      readonly before: KeptState;
      readonly works: readonly AcceptedWork[];
      readonly steps: boolean;
    };

/** A state that was made, and the step to it; null: everybody merges. */
export type Made = KeptState & { readonly step: Uint8Array | null };

/** Where states are read from and put. */
export interface StateBlobs {
  readonly fetch: FetchBlob;
  readonly put: PutBlob;
}

/** Carries out an order; resolves with the state where it makes one, else with null. Throws as the game does, and as the blobs do. */
export async function carryOut({ game, params }: OpenGame, order: Order, blobs: StateBlobs): Promise<Made | null> {
  if (order.kind === 'merge') {
    const { before, works, steps } = order;
    const cut = steps ? await cutKept(game, params, before, works, blobs) : null;
    return cut ?? { model: await mergeKept(game, params, before.model, works, blobs), rest: null, step: null };
  }
  if (order.kind === 'form') await game.checkForm(params, order.work);
  else await checkState(game, params, order.hash, blobs.fetch);
  return null;
}
