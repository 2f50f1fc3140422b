// From a model that is at hand to the one that the log names: the merges between them, each proved by its hash.
import { CodedError } from '../errors.ts';
import { decodeBundle } from './bundle.ts';
import type { AnyGame } from './game.ts';
import { hashOfState, mergeState, readState } from './state.ts';

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
  const { from, merges } = wayTo(history, held?.hash ?? null);
  let present = held;
  if (present?.hash !== from) present = { hash: from, state: await readState(game, params, from, fetchBlob) };
  for (const merged of merges) {
    const works = decodeBundle(await fetchBlob(merged.bundle));
    const state: unknown = await mergeState(game, params, present.state, works);
    present = { hash: await hashOfState(game, params, state), state };
    mustBe(merged, present.hash);
  }
  return present;
}

/** The merges to `history.model`: from the model that is held, where it is one of those on the way, else from the checkpoint. Throws HistoryError `no-way`. */
export function wayTo(history: History, held: string | null): { from: string; merges: History['recent'] } {
  const { recent, model } = history;
  if (held === model) return { from: model, merges: [] };
  const follows = (hash: string) => recent.findIndex((merged) => merged.parent === hash);
  const isOnTheWay = held !== null && follows(held) >= 0;
  const from = isOnTheWay ? held : history.checkpoint.model;
  const first = follows(from);
  const merges = first < 0 ? [] : recent.slice(first);
  const end = merges.at(-1)?.model ?? from;
  if (end === model) return { from, merges };
  throw new HistoryError('no-way', `expected merges up to model ${model}, the list ends at ${end}`);
}

/** Throws HistoryError `wrong-model` where the work of a round gives another model than the log says. */
export function mustBe({ round, model }: { readonly round: number; readonly model: string }, found: string): void {
  if (found === model) return;
  throw new HistoryError('wrong-model', `round ${round}: the log says ${model}, its work gives ${found}`);
}
