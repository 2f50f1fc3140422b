// A device that works for whichever run of a hub is open and fits it: when one ends, is full or stays paused it goes on to the next.
// A run is left for nothing else: what a device carries from round to round, and its record, are worth more than a better place.
import { GameError } from '../games/errors.ts';
import type { Clock } from '../protocol/clock.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { PeerError, type PeerErrorCode } from '../protocol/peer-errors.ts';
import { chooseRun } from './find-run.ts';
import type { PeerNews } from './role.ts';
import { type Chooser, openRunOf, runToJoin } from './run-choice.ts';

export const ANY_RUN_LIMITS = {
  between_ms: 5000, // from one run to the next: a hub whose runs all refuse at once is not flooded
  wait_ms: 15_000, // before a hub is asked again, where it has no run or does not answer; doubled each time
  longest_wait_ms: 300_000,
  unfit_ms: 600_000, // before a run that refused this device is tried again; doubled each time
  longest_unfit_ms: 6 * 3_600_000,
  paused_ms: 600_000, // a pause of its owner's that lasts longer leaves the device to others
} as const;

/** Failures that concern the run or this moment; any other would be the same in every run. */
const PASSING: readonly PeerErrorCode[] = [
  ...(['no-such-run', 'refused', 'too-little-memory', 'bad-blob', 'proxy-answered'] as const),
  ...(['hub-unreachable', 'not-a-hub', 'disconnected'] as const),
];
const passes = (error: unknown): error is PeerError | GameError =>
  error instanceof GameError || (error instanceof PeerError && (PASSING as readonly string[]).includes(error.code));

export interface AnyRunOptions extends Pick<Chooser, 'role' | 'device' | 'worked_ms'> {
  readonly clock: Clock;
  /** The only run that is meant, by its name or the beginning of its id; null: any. */
  readonly wanted: string | null;
  /** Whether another part of this device is in a run. */
  isTaken(run: string): boolean;
  /** The runs of the hub. Throws PeerError. */
  runs(): Promise<readonly RunStatus[]>;
  /** Takes part in a run until it is over or the signal fires. */
  join(run: string, signal: AbortSignal, onNews: (news: PeerNews) => void): Promise<'finished' | 'left'>;
  readonly onNews: (news: PeerNews) => void;
  readonly signal: AbortSignal;
}

/** Resolves when the device's owner wants it back, or when the only run that is meant is over. Throws what would be wrong in every run. */
export function joinAnyRun(options: AnyRunOptions): Promise<'finished' | 'left'> {
  return new Wanderer(options).go();
}

class Wanderer {
  readonly #options: AnyRunOptions;
  readonly #unfit = new Map<string, { readonly until_ms: number; readonly for_ms: number }>();
  #wait_ms: number = ANY_RUN_LIMITS.wait_ms;

  constructor(options: AnyRunOptions) {
    this.#options = options;
  }

  async go(): Promise<'finished' | 'left'> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      const next = await this.#choose();
      if (next === 'over') return 'finished';
      if (next === null) await this.#waitLonger();
      // A run that has gone to another hub and has ended there is over, too.
      else if ((await this.#join(next)) === 'finished' && this.#options.wanted !== null) return 'finished';
    }
    return 'left';
  }

  /** 'over': the only run that is meant has ended. null: there is none for now, which has been told. */
  async #choose(): Promise<string | null | 'over'> {
    const { wanted, onNews } = this.#options;
    try {
      const runs = await this.#options.runs();
      if (wanted !== null) {
        const { run, phase, moved } = chooseRun(runs, wanted);
        if (phase === 'finished' && !moved) return 'over';
        if (!this.#isUnfit(run)) return run;
      }
      const next = wanted === null ? this.#next(runs) : null;
      if (next === null) onNews({ type: 'obstacle', obstacle: noneOpen(runs, wanted) });
      return next;
    } catch (error) {
      if (!passes(error)) throw error;
      onNews({ type: 'away', reason: error.message });
      return null;
    }
  }

  #next(runs: readonly RunStatus[]): string | null {
    const isLeftOut = (run: string): boolean => this.#options.isTaken(run) || this.#isUnfit(run);
    return runToJoin(runs.map(openRunOf), { ...this.#options, isLeftOut });
  }

  /** What came of it; null where it failed for now. */
  async #join(run: string): Promise<'finished' | 'left' | null> {
    const { signal, onNews, wanted } = this.#options;
    const moveOn = new AbortController();
    const watch = wanted === null ? this.#watchPause(moveOn) : null;
    let end: 'finished' | 'left' | null = null;
    try {
      end = await this.#options.join(run, AbortSignal.any([signal, moveOn.signal]), (news) => {
        if (news.type === 'joined') this.#fits(run);
        watch?.hear(news);
        onNews(news);
      });
    } catch (error) {
      if (!passes(error)) throw error;
      this.#leaveOut(run, error);
      onNews({ type: 'problem', code: error.code, message: error.message });
    } finally {
      watch?.close();
    }
    await this.#pause(ANY_RUN_LIMITS.between_ms);
    return end;
  }

  #fits(run: string): void {
    this.#wait_ms = ANY_RUN_LIMITS.wait_ms;
    this.#unfit.delete(run);
  }

  /** A game that cannot be had stays so until somebody starts this device anew; memory may be free again, and a place. */
  #leaveOut(run: string, error: PeerError | GameError): void {
    const { unfit_ms, longest_unfit_ms } = ANY_RUN_LIMITS;
    const before_ms = this.#unfit.get(run)?.for_ms ?? unfit_ms / 2;
    const for_ms = error instanceof GameError ? Number.POSITIVE_INFINITY : Math.min(before_ms * 2, longest_unfit_ms);
    this.#unfit.set(run, { for_ms, until_ms: this.#options.clock.elapsed_ms() + for_ms });
  }

  #isUnfit(run: string): boolean {
    return (this.#unfit.get(run)?.until_ms ?? 0) > this.#options.clock.elapsed_ms();
  }

  /** Moves on when a run is paused for long and another is open; while none is, it stays. */
  #watchPause(moveOn: AbortController): { hear(news: PeerNews): void; close(): void } {
    const { clock } = this.#options;
    let timer: unknown;
    let isPaused = false;
    const wait = (): void => {
      timer = clock.setTimeout(async () => {
        const runs = await this.#options.runs().catch(() => []);
        if (!isPaused) return;
        if (this.#next(runs) === null) wait();
        else moveOn.abort();
      }, ANY_RUN_LIMITS.paused_ms);
    };
    const close = (): void => {
      isPaused = false;
      clock.clearTimeout(timer);
    };
    return {
      hear(news) {
        if (news.type !== 'obstacle') return;
        const now = news.obstacle?.code === 'run-paused';
        if (now === isPaused) return;
        close();
        isPaused = now;
        if (now) wait();
      },
      close,
    };
  }

  async #waitLonger(): Promise<void> {
    await this.#pause(this.#wait_ms);
    this.#wait_ms = Math.min(this.#wait_ms * 2, ANY_RUN_LIMITS.longest_wait_ms);
  }

  /** Nothing stays of it when the owner wants the device back. */
  #pause(time_ms: number): Promise<void> {
    const { clock, signal } = this.#options;
    return new Promise((resolve) => {
      const end = (): void => {
        clock.clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = clock.setTimeout(end, signal.aborted ? 0 : time_ms);
      signal.addEventListener('abort', end);
    });
  }
}

function noneOpen(runs: readonly RunStatus[], wanted: string | null): { code: string; message: string } {
  const live = runs.filter(({ phase }) => phase !== 'finished').length;
  const there = live === 0 ? 'none goes on' : `${live} go on, which are paused, are worked for already, or did not fit`;
  const what =
    wanted === null ? `no run of the hub is open for this device (${there})` : 'its run did not take this device';
  return { code: 'no-open-run', message: `${what}; it asks again by itself` };
}
