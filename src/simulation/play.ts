// Tries a game before anybody launches it: one arena of honest devices, then one for each adversary, each in a thread that is
// ended where the game does not answer.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { GameError } from '../games/errors.ts';
import type { Adversary } from './adversaries/adversary.ts';
import type { ArenaResult } from './arena-result.ts';
import { SimulationError } from './errors.ts';
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

/** What the thread says. */
export type FromThread =
  | { readonly type: 'call'; readonly what: string; readonly who: string }
  | { readonly type: 'idle' }
  | { readonly type: 'done'; readonly result: ArenaResult }
  | { readonly type: 'failed'; readonly code: string; readonly message: string };

const LOADING = 'loading';
/** More than the guard inside the thread gives: it knows better what was asked. */
const THREAD_PATIENCE = 1.5;
/** A game that wants more than this for a round of a handful of devices has a leak. */
const THREAD_MEMORY_MB = 4096;

/**
 * Plays one arena in a thread of its own. Throws GameError game-late where a call never gives way, game-threw where the thread
 * dies, and what the arena throws, by its code.
 */
export function playInThread(job: PlayJob): Promise<ArenaResult> {
  const thread = new Worker(new URL('./play-thread.ts', import.meta.url), {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: THREAD_MEMORY_MB },
  });
  let timer: NodeJS.Timeout | undefined;
  let asked = LOADING;
  const played = new Promise<ArenaResult>((resolve, reject) => {
    const threw = (message: string): void => reject(new GameError('game-threw', `${asked}: ${message}`));
    thread.on('error', (error) => threw(error instanceof Error ? error.message : String(error)));
    thread.on('exit', (code) => threw(`the game ended its thread with code ${code}`));
    thread.on('message', (message: FromThread) => {
      clearTimeout(timer);
      if (message.type === 'done') return resolve(message.result);
      if (message.type === 'failed') return reject(errorOf(message.code, message.message));
      if (message.type === 'idle') return;
      asked = `${message.what} (${message.who})`;
      const limit_ms = job.call_ms * THREAD_PATIENCE;
      timer = setTimeout(() => {
        reject(
          new GameError('game-late', `${asked}: expected an answer within ${limit_ms} ms, the game never gives way`),
        );
      }, limit_ms);
    });
  });
  return played.finally(async () => {
    clearTimeout(timer);
    await thread.terminate();
  });
}

/** An error of the thread as one of here. */
function errorOf(code: string, message: string): GameError | SimulationError {
  const simulation = ['violated', 'bad-options', 'no-honest-pay'] as const;
  const own = simulation.find((known) => known === code);
  return own ? new SimulationError(own, message) : new GameError(code as GameError['code'], message);
}

export interface PlayOptions extends Omit<PlayJob, 'adversary'> {
  readonly adversaries: readonly Adversary[];
  readonly onReport?: (report: StrategyReport) => void;
  readonly onHonest?: (result: ArenaResult) => void;
  /** Told whenever an arena has ended: adversaries tried, and about how long the others take. */
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
 * Plays a game against each adversary. Throws GameError and SimulationError where honest devices cannot play it; an adversary
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
          // What fails before anybody plays is nobody's exploit.
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

/** Works through a list with so many under way at once; the results in the order of the list. */
function inTurn<T, R>(list: readonly T[], at_once: number, work: (item: T) => Promise<R>): Promise<R>[] {
  const begun: Promise<R>[] = [];
  for (const [i, item] of list.entries()) {
    // Each waits for the one that is so many places before it; one that failed is told when its turn comes.
    const before = begun[i - at_once]?.catch(() => {});
    const result = before ? before.then(() => work(item)) : work(item);
    result.catch(() => {});
    begun.push(result);
  }
  return begun;
}
