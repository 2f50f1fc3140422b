// Tests a game before anybody launches it: one arena of honest devices, then one for each adversary, each in a thread that is
// ended if the game does not answer.
import { availableParallelism } from 'node:os';
import { GameError } from '../games/errors.ts';
import type { Adversary } from './adversaries/adversary.ts';
import type { ArenaResult } from './arena-result.ts';
import { askGameThread, LOADING } from './game-thread.ts';
import type { Crowd } from './play-job.ts';
import { reportBroken, reportOn, requireHonestPay, type StrategyReport } from './play-report.ts';

/** One arena. */
export interface PlayJob {
  /** A game's name, or the path of a file that exports one. */
  readonly game: string;
  /** The game's settings; null: its defaults. */
  readonly settings: unknown;
  /** null: honest devices only. */
  readonly adversary: string | null;
  readonly crowd: Crowd;
  readonly rounds: number;
  readonly seed: string;
  /** How long one call of the game may take. */
  readonly call_ms: number;
}

/** Plays one arena in a thread of its own. Throws the errors of askGameThread and of the arena. */
export const playInThread = (job: PlayJob): Promise<ArenaResult> =>
  askGameThread({ file: new URL('./play-thread.ts', import.meta.url), job, call_ms: job.call_ms });

export interface PlayOptions extends Omit<PlayJob, 'adversary'> {
  readonly adversaries: readonly Adversary[];
  readonly onReport?: (report: StrategyReport) => void;
  readonly onHonest?: (result: ArenaResult) => void;
  /** Called whenever an arena has ended: the number of tested adversaries, and the estimated time for the others. */
  readonly onProgress?: (progress: PlayProgress) => void;
}

export interface PlayProgress {
  readonly tried: number;
  readonly all: number;
  readonly time_left_ms: number;
}

export interface PlayOutcome {
  readonly honest: ArenaResult;
  readonly reports: readonly StrategyReport[];
  readonly exploits: readonly StrategyReport[];
}

/**
 * Plays a game against each adversary. Throws GameError and SimulationError if honest devices cannot play it; an adversary
 * that breaks it is an exploit.
 */
export async function playGame(options: PlayOptions): Promise<PlayOutcome> {
  const { adversaries, onReport, onHonest, onProgress, ...job } = options;
  const at_once = availableParallelism();
  const started_ms = performance.now();
  const honest = await playInThread({ ...job, adversary: null });
  requireHonestPay(honest);
  onHonest?.(honest);
  let tried = 0;
  // The first estimate is by the honest arena, which had the machine to itself; the others are by those that were played.
  const tell = (an_arena_ms: number): void => {
    const time_left_ms = ((adversaries.length - tried) * an_arena_ms) / at_once;
    onProgress?.({ tried, all: adversaries.length, time_left_ms });
  };
  tell(performance.now() - started_ms);
  const adversaries_ms = performance.now();
  const reports: StrategyReport[] = [];
  const playing = inTurn(adversaries, at_once, (adversary) =>
    playInThread({ ...job, adversary: adversary.name })
      .finally(() => {
        tried++;
        tell(((performance.now() - adversaries_ms) * Math.min(at_once, adversaries.length)) / tried);
      })
      .then(
        (result) => reportOn(adversary, result, honest),
        (error) => {
          // An error before the arena begins is no exploit.
          if (!(error instanceof GameError) || error.message.startsWith(LOADING)) throw error;
          return [reportBroken(adversary, `${error.code}: ${error.message}`)];
        },
      ),
  );
  for (const found of playing) {
    for (const report of await found) {
      onReport?.(report);
      reports.push(report);
    }
  }
  return { honest, reports, exploits: reports.filter(({ exploit }) => exploit) };
}

/** Processes a list with so many items at once; the results have the order of the list. */
function inTurn<T, R>(list: readonly T[], at_once: number, work: (item: T) => Promise<R>): Promise<R>[] {
  const begun: Promise<R>[] = [];
  for (const [i, item] of list.entries()) {
    // Each item waits for the one that is so many places before it; a caller sees an error when it awaits that item.
    const before = begun[i - at_once]?.catch(() => {});
    const result = before ? before.then(() => work(item)) : work(item);
    result.catch(() => {}); // the caller sees the error when it awaits this item
    begun.push(result);
  }
  return begun;
}
