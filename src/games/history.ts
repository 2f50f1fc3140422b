// From a model that is at hand to the one that the log names: the merges between them, each proved by its hash.
import { bytesToHex } from '@noble/hashes/utils.js';
import { CodedError } from '../errors.ts';
import { sha256Beside } from '../protocol/hash.ts';
import { decodeBundle } from './bundle.ts';
import type { AnyGame } from './game.ts';

export type HistoryErrorCode =
  /** No list of merges leads to the model. */
  | 'no-way'
  /** The work of a round does not give the model that the log says. */
  | 'wrong-model';
export class HistoryError extends CodedError<HistoryErrorCode> {}

/** A state with the hash that the log knows it by. */
export interface HeldState {
  readonly hash: string;
  readonly state: unknown;
}

export interface History {
  readonly model: string;
  readonly checkpoint: { readonly model: string };
  readonly recent: readonly {
    readonly round: number;
    readonly parent: string;
    readonly bundle: string;
    readonly model: string;
  }[];
}

/**
 * Brings a state to `history.model`: on from what is held where the recent merges pass through it, else from the checkpoint.
 * Throws HistoryError, what `fetchBlob` throws, and what the game throws for damaged work.
 */
export async function catchUp(
  game: AnyGame,
  params: unknown,
  history: History,
  held: HeldState | null,
  fetchBlob: (hash: string) => Promise<Uint8Array>,
): Promise<HeldState> {
  if (held?.hash === history.model) return held;
  const follows = (hash: string) => history.recent.findIndex((merged) => merged.parent === hash);
  let from = held ? follows(held.hash) : -1;
  let present = held;
  if (!present || from < 0) {
    const { model } = history.checkpoint;
    present = { hash: model, state: game.decodeState(params, await fetchBlob(model)) };
    from = follows(model);
  }
  for (const merged of from < 0 ? [] : history.recent.slice(from)) {
    const state = game.merge(params, present.state, decodeBundle(await fetchBlob(merged.bundle)));
    const hash = bytesToHex(await sha256Beside(game.encodeState(params, state)));
    if (hash !== merged.model) {
      throw new HistoryError(
        'wrong-model',
        `round ${merged.round}: the log says ${merged.model}, its work gives ${hash}`,
      );
    }
    present = { hash, state };
  }
  if (present.hash !== history.model) {
    throw new HistoryError('no-way', `expected merges up to model ${history.model}, the list ends at ${present.hash}`);
  }
  return present;
}
