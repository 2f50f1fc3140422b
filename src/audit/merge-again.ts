// One merge of a log made again from its work, and compared: on the model in memory, or from blobs to blobs where nobody has to hold it whole.
import { bytesToHex } from '@noble/hashes/utils.js';
import { CodedError } from '../errors.ts';
import { GameError, type GameErrorCode } from '../games/errors.ts';
import { type AcceptedWork, type AnyGame, isStaged } from '../games/game.ts';
import { HistoryError, mergeAgain, mustBeStep } from '../games/history.ts';
import { cutKept, type FetchBlob, hashOfState, type KeptState, mergeKept } from '../games/state.ts';
import { sha256Beside } from '../protocol/hash.ts';
import type { MergeTask, NamedWork } from './model-tasks.ts';
import { AuditFailure } from './public-log.ts';

/** A game with a run's settings. */
export interface OpenGame {
  readonly game: AnyGame;
  readonly params: unknown;
}

/** A run's model, with what its steps have left out, by their hashes, and as they are in memory; null in games with stages, which read blobs. */
export interface PresentModel extends KeptState {
  readonly held: { readonly state: unknown; readonly rest: unknown } | null;
}

/** Blobs for whoever cannot go on without one, and whether all were kept so far: after one that was not, nothing that is thrown says anything. */
export interface KeptBlobs {
  readonly fetch: FetchBlob;
  all(): boolean;
}

export function keptBlobs(blob: (hash: string) => Promise<Uint8Array | null>): KeptBlobs {
  let all = true;
  return {
    async fetch(hash) {
      const bytes = await blob(hash);
      all &&= bytes !== null;
      return bytes ?? new Uint8Array(0);
    },
    all: () => all,
  };
}

/** The model after a merge; null: a blob of the one before is not kept any more. Throws AuditFailure where the log says something else. */
export async function mergeHonestly(
  open: OpenGame,
  before: PresentModel,
  task: MergeTask,
  works: readonly Uint8Array[],
  blobs: KeptBlobs,
): Promise<PresentModel | null> {
  const accepted = works.map((work, i) => ({ work, weight: task.works[i].weight }));
  let next: PresentModel;
  try {
    next = isStaged(open.game)
      ? await fromBlobs(open, before, task, accepted, blobs.fetch)
      : await inMemory(open, before, task, accepted);
  } catch (error) {
    if (!blobs.all()) return null;
    if (!(error instanceof CodedError) || error instanceof AuditFailure) throw error;
    if (error instanceof HistoryError) {
      throw new AuditFailure('wrong-step', error.message, { index: task.index, ...(task.step && { blob: task.step }) });
    }
    // Whose work is it that cannot be merged?
    for (const [i, work] of works.entries()) await checkForm(open, task.works[i], work);
    throw new AuditFailure('wrong-model', `round ${task.round}: its work cannot be merged: ${error.message}`, {
      index: task.index,
    });
  }
  const { model, rest } = next;
  if (model !== task.model) {
    const message = `round ${task.round}: the log says model ${task.model}, its work gives ${model}`;
    throw new AuditFailure('wrong-model', message, { index: task.index, blob: task.model, found: model });
  }
  if (task.rest !== null && rest !== task.rest) {
    const message = `round ${task.round}: the log says that steps have left out ${task.rest}, its work leaves out ${rest}`;
    throw new AuditFailure('wrong-step', message, { index: task.index, blob: task.rest, found: rest! });
  }
  return next;
}

async function inMemory(
  { game, params }: OpenGame,
  { held }: PresentModel,
  task: MergeTask,
  accepted: readonly AcceptedWork[],
): Promise<PresentModel> {
  const next = await mergeAgain(game, params, held!, task, accepted);
  const rest = task.rest && (await hashOfState(game, params, next.rest, 'rest'));
  return { model: await hashOfState(game, params, next.state), rest, held: next };
}

async function fromBlobs(
  { game, params }: OpenGame,
  before: KeptState,
  task: MergeTask,
  accepted: readonly AcceptedWork[],
  fetch: FetchBlob,
): Promise<PresentModel> {
  const hashOnly = { fetch, put: async (bytes: Uint8Array) => bytesToHex(await sha256Beside(bytes)) };
  if (task.step === null) {
    return { model: await mergeKept(game, params, before.model, accepted, hashOnly), rest: null, held: null };
  }
  const cut = await cutKept(game, params, before, accepted, hashOnly);
  mustBeStep(task, cut && (await hashOnly.put(cut.step)));
  return { model: cut!.model, rest: cut!.rest, held: null };
}

/** Throws AuditFailure bad-work for work that does not have the form that its game demands. */
export async function checkForm(open: OpenGame, { index, work }: NamedWork, bytes: Uint8Array): Promise<void> {
  await orAuditFailure('bad-work', { index, blob: work }, () => open.game.checkForm(open.params, bytes));
}

/** Runs a step on bytes that somebody else wrote: its typed errors are untruths of the log. */
export async function orAuditFailure<T>(
  code: AuditFailure['code'],
  details: { index: number; blob: string },
  step: () => T | Promise<T>,
): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw auditFailureOf(code, details, error);
  }
}

/** What a game from a file does of itself: nobody has lied. */
const NOT_THE_LOGS: readonly GameErrorCode[] = ['game-late', 'game-ended', 'game-threw'];

/** A typed error over bytes that somebody else wrote is an untruth of the log; every other one is ours. */
export function auditFailureOf(
  code: AuditFailure['code'],
  details: { index: number; blob: string },
  error: unknown,
): unknown {
  if (error instanceof GameError && NOT_THE_LOGS.includes(error.code)) return error;
  return error instanceof CodedError
    ? new AuditFailure(code, `blob ${details.blob}: ${error.message}`, details)
    : error;
}
