// Brings a model up to the one that the log names: applies the merges between them, each verified by its hash.
import { bytesToHex } from '@noble/hashes/utils.js';
import { CodedError } from '../errors.ts';
import { sha256Beside } from '../protocol/hash.ts';
import { decodeBundle } from './bundle.ts';
import { type AcceptedWork, type AnyGame, isStaged } from './game.ts';
import { cutState, followState, hashOfState, type Kept, mergeState, readState } from './state.ts';

export type HistoryErrorCode =
  /** No sequence of merges leads to the model. */
  | 'no-way'
  /** The step of a round, or its work, does not give the model that the log names. */
  | 'wrong-model'
  /** The work of a round gives another step than the log names. */
  | 'wrong-step'
  /** A model that is read tensor by tensor is not stored whole. */
  | 'not-whole';
export class HistoryError extends CodedError<HistoryErrorCode> {}

/** A state with its hash in the log. */
export interface HeldState {
  readonly hash: string;
  readonly state: unknown;
  /** What steps have left out until there; null: nothing, or unknown because this device only follows steps. */
  readonly rest: unknown;
}

export interface History {
  readonly model: string;
  readonly checkpoint: { readonly model: string; readonly rest: string | null };
  readonly recent: readonly {
    readonly round: number;
    readonly parent: string;
    readonly bundle: string;
    readonly step: string | null;
    readonly model: string;
  }[];
}

/** How a state is advanced: 'follow' applies the steps as they are; 'merge' computes them again from all work and compares. */
export type Way = 'follow' | 'merge';

/**
 * Advances a state to `history.model`: from the held state where the recent merges pass through it, otherwise from the checkpoint. The held
 * state must have been advanced the same way. In games with stages nothing is merged, and nothing fetched before it is read: the state is a
 * TensorSource of the model, which the log has whole. Throws HistoryError, the errors of `fetchBlob`, and the game's errors for damaged work or steps.
 */
export async function catchUp(
  game: AnyGame,
  params: unknown,
  history: History,
  held: HeldState | null,
  fetchBlob: (hash: string) => Promise<Uint8Array>,
  way: Way = 'follow',
): Promise<HeldState> {
  if (isStaged(game)) return held?.hash === history.model ? held : atWhole(game, params, history, fetchBlob);
  const { from, merges } = wayTo(history, held?.hash ?? null);
  let present: HeldState | null = held;
  if (present?.hash !== from) {
    const read = (hash: string, kept?: Kept) => readState(game, params, hash, fetchBlob, kept);
    const left = way === 'merge' ? restAt(history, from) : null;
    present = { hash: from, state: await read(from), rest: left === null ? null : await read(left, 'rest') };
  }
  for (const merged of merges) {
    const follows = way === 'follow' && merged.step !== null;
    const next: Pick<HeldState, 'state' | 'rest'> = follows
      ? { state: await followState<unknown>(game, params, present.state, await fetchBlob(merged.step!)), rest: null }
      : await mergeAgain(game, params, present, merged, decodeBundle(await fetchBlob(merged.bundle)));
    present = { hash: await hashOfState(game, params, next.state), ...next };
    mustBe(merged, present.hash, follows ? 'step' : 'work');
  }
  return present;
}

/** The state of a game in stages. Throws HistoryError `not-whole`. */
async function atWhole(
  game: AnyGame,
  params: unknown,
  { model, checkpoint }: Pick<History, 'model' | 'checkpoint'>,
  fetchBlob: (hash: string) => Promise<Uint8Array>,
): Promise<HeldState> {
  if (checkpoint.model === model)
    return { hash: model, state: await readState(game, params, model, fetchBlob), rest: null };
  const fact = `expected model ${model} to be stored whole, as every model in stages: the last whole one is ${checkpoint.model}`;
  throw new HistoryError('not-whole', fact, { model, checkpoint: checkpoint.model });
}

/** What steps had left out at the checkpoint, from which a device without a usable state starts. */
export const restAt = ({ checkpoint }: Pick<History, 'checkpoint'>, from: string): string | null =>
  from === checkpoint.model ? checkpoint.rest : null;

/** A merge from all of its work, as the hub made it. Throws HistoryError `wrong-step`, and the game's errors. */
export async function mergeAgain(
  game: AnyGame,
  params: unknown,
  before: Pick<HeldState, 'state' | 'rest'>,
  { round, step }: { readonly round: number; readonly step: string | null },
  works: readonly AcceptedWork[],
): Promise<Pick<HeldState, 'state' | 'rest'>> {
  // A merge without a step, as in logs from before there were steps.
  if (step === null) return { state: await mergeState(game, params, before.state, works), rest: null };
  const cut = await cutState(game, params, before, works);
  mustBeStep({ round, step }, cut && bytesToHex(await sha256Beside(cut.step)));
  return { state: await followState(game, params, before.state, cut!.step), rest: cut!.rest };
}

/** The merges to `history.model`: from the held model, where it is on the way, otherwise from the checkpoint. Throws HistoryError `no-way`. */
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

/** Throws HistoryError `wrong-model` where the work of a round, or its step, gives another model than the log names. */
export function mustBe(
  { round, model }: { readonly round: number; readonly model: string },
  found: string,
  from: 'work' | 'step' = 'work',
): void {
  if (found === model) return;
  throw new HistoryError('wrong-model', `round ${round}: the log says ${model}, its ${from} gives ${found}`);
}

/** Throws HistoryError `wrong-step` where the work of a round gives another step than the log names. */
export function mustBeStep(
  { round, step }: { readonly round: number; readonly step: string | null },
  found: string | null,
): void {
  if (found === step) return;
  throw new HistoryError('wrong-step', `round ${round}: the log says step ${step}, its work gives ${found ?? 'none'}`);
}
