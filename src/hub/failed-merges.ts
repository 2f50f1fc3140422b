// Failed merges: the time of the next try of each, and its error message. Meanwhile other runs go on, and this run's rounds wait.
import type { RunState } from '../core/state.ts';
import { CodedError } from '../errors.ts';
import { LedgerError } from '../ledger/errors.ts';
import { HubError } from './errors.ts';

/** After a missing blob or a full disk: anybody may fix that at any time, and a try costs little. */
const RETRY_MS = 5000;
/** After an error of the game: its merge is pure, so it most likely fails again. It is still tried, because nobody knows what a game's file does. */
const RETRY_BROKEN_MS = 3_600_000;
/** How much of a game's own error message people get to read. */
const MESSAGE_CHARACTERS = 500;

export interface FailedMerges {
  /** Whether this run's merge has failed and must wait. */
  waits(run: RunState): boolean;
  /** Records a failure. Returns the error to report, with its code and the consequence in words; null where it was reported already. */
  failed(run: RunState, error: unknown): Error | null;
  /** What is wrong with a run, for people; null where nothing is. */
  problemOf(run: RunState): string | null;
  /** When the next retry is due, by the same clock; null where none is. */
  nextTry(runs: Iterable<RunState>): number | null;
}

interface Failed {
  /** The merge that failed. A run that was paused and resumed starts its round again, and so has another merge. */
  readonly merge: string;
  readonly problem: string;
  readonly again_ms: number;
}

const mergeOf = ({ round, attempt }: RunState): string => `${round}.${attempt}`;

/** Whether the next try will most likely fail the same way, because the game or its work is at fault and not this machine. */
const isBroken = (error: unknown): boolean =>
  error instanceof CodedError && !(error instanceof HubError) && !(error instanceof LedgerError);

/** @param elapsed_ms a clock that never goes back */
export function openFailedMerges(elapsed_ms: () => number): FailedMerges {
  const all = new Map<string, Failed>();
  const of = (run: RunState): Failed | null => {
    const found = all.get(run.id);
    return found && run.phase === 'merging' && found.merge === mergeOf(run) ? found : null;
  };
  return {
    waits: (run) => (of(run)?.again_ms ?? 0) > elapsed_ms(),
    failed(run, error) {
      const broken = isBroken(error);
      const why = (error instanceof Error ? error.message : String(error)).slice(0, MESSAGE_CHARACTERS);
      const consequence = broken
        ? `the run stands still; the merge is tried again in ${RETRY_BROKEN_MS / 60_000} minutes, and when the hub is restarted with a corrected game; its owner can end it: potluck run end ${run.id.slice(0, 12)} --drop`
        : `it is tried again every ${RETRY_MS / 1000} seconds`;
      const problem = `the merge of round ${run.round} failed: ${why}; ${consequence}`;
      const isReported = of(run)?.problem === problem;
      all.set(run.id, {
        ...{ merge: mergeOf(run), problem },
        again_ms: elapsed_ms() + (broken ? RETRY_BROKEN_MS : RETRY_MS),
      });
      if (isReported) return null;
      return error instanceof CodedError
        ? new CodedError(error.code, problem, error.details)
        : new Error(problem, { cause: error });
    },
    problemOf: (run) => of(run)?.problem ?? null,
    nextTry(runs) {
      const times = [...runs].flatMap((run) => of(run)?.again_ms ?? []);
      return times.length === 0 ? null : Math.min(...times);
    },
  };
}
