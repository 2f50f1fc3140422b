// The hub's copy of every run's game and present state: loaded from the last checkpoint, moved on by each merge.

import type { RoundMerged } from '../core/events/round-merged.ts';
import { acceptedSubmissions } from '../core/rounds/judging.ts';
import { isCheckpoint } from '../core/rounds/merging.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { encodeBundle } from '../games/bundle.ts';
import type { AcceptedWork, AnyGame } from '../games/game.ts';
import { catchUp, type HeldState } from '../games/history.ts';
import { checkParamsSize, decodeParams } from '../games/params.ts';
import { type LoadGame, loadGame } from '../games/registry.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { HubError } from './errors.ts';

/** A run's game with its settings. */
export interface OpenGame {
  readonly game: AnyGame;
  readonly params: unknown;
}

export interface Models {
  /** The game of a run that is in the log, or that wants to be. Throws GameError, HubError missing-blob. */
  game(spec: { readonly game: string; readonly params: string }): Promise<OpenGame>;
  /** Does a round's merge: the body of the event that the core expects, with its blobs already stored. */
  merge(network: NetworkState, run: RunState): Promise<RoundMerged>;
}

export function openModels(blobs: BlobStore, load: LoadGame = loadGame): Models {
  const games = new Map<string, Promise<OpenGame>>();
  // Only the newest state of each run is kept: at most one model per run in memory.
  const states = new Map<string, HeldState>();

  const need = async (hash: string): Promise<Uint8Array> => {
    const bytes = await blobs.get(hash);
    if (!bytes) throw new HubError('missing-blob', `expected blob ${hash} to be uploaded before it is named`, { hash });
    return bytes;
  };

  const game = (spec: { readonly game: string; readonly params: string }): Promise<OpenGame> => {
    const key = `${spec.game}:${spec.params}`;
    let open = games.get(key);
    if (!open) {
      open = (async () => {
        checkParamsSize((await blobs.sizeOf(spec.params)) ?? 0);
        const loaded = await load(spec.game);
        return { game: loaded, params: decodeParams(loaded, await need(spec.params)) };
      })();
      open.catch(() => games.delete(key));
      games.set(key, open);
    }
    return open;
  };

  const present = async (run: RunState): Promise<unknown> => {
    const { game: loaded, params } = await game(run.spec);
    const state = await catchUp(loaded, params, run, states.get(run.id) ?? null, need);
    states.set(run.id, state);
    return state.state;
  };

  const merge = async (network: NetworkState, run: RunState): Promise<RoundMerged> => {
    const accepted = acceptedSubmissions(network, run).map(({ submission }) => submission);
    const base = {
      type: 'round.merged' as const,
      version: 1 as const,
      run: run.id,
      round: run.round,
      attempt: run.attempt,
      accepted: accepted.map(({ id }) => id),
    };
    if (accepted.length === 0) return { ...base, model: run.model, bundle: null, checkpoint: false };
    const { game: loaded, params } = await game(run.spec);
    const state = await present(run);
    const works: AcceptedWork[] = await Promise.all(
      accepted.map(async ({ body }) => ({ work: await need(body.work), weight: body.steps })),
    );
    const next = loaded.merge(params, state, works);
    const encoded = loaded.encodeState(params, next);
    const model = sha256Hex(encoded);
    const bundle = await blobs.put(encodeBundle(works));
    const checkpoint = isCheckpoint(run, { bundle });
    if (checkpoint) await blobs.put(encoded);
    states.set(run.id, { hash: model, state: next });
    return { ...base, model, bundle, checkpoint };
  };

  return { game, merge };
}
