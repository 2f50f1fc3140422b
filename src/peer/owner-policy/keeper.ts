// Keeps a process that works within its owner's rules: starts it, slows it, stops it where it is, and ends it when its memory is wanted.
// A process of its own, because nothing else stops at once whatever it is at, and gives all of its memory back.
import type { Clock } from '../../protocol/clock.ts';
import { type Decision, decide, NO_MEMORY, type Orders, type PolicyMemory, type Unreadable } from './decide.ts';
import type { DeviceSettings } from './settings.ts';
import type { Signals } from './signals.ts';

/** A process that takes part in a run. */
export interface Kept {
  /** Works from now on, or goes on, at this part of the time. */
  go(duty: number): void;
  /** Stands still wherever it is, at once, until `go`. */
  stop(): void;
  /** Hands in what is done, then ends. */
  leave(): void;
  /** Ends at once. */
  kill(): void;
  /** How it ended. `finished`: the run is over. A code that is not 0: by a failure that it has told. */
  readonly ended: Promise<{ readonly finished: boolean; readonly code: number }>;
}

export interface KeeperOptions {
  readonly clock: Clock;
  readonly cores: number;
  /** The threads that the process computes with, and the part of the time that its owner asked for when it was started. */
  readonly threads: number;
  readonly duty: number;
  signals(): Signals;
  settings(): DeviceSettings | Unreadable;
  orders(): Orders;
  start(): Kept;
  /** Hears of each decision that differs from the one before in what is done or why. */
  onDecision(decision: Decision): void;
}

export interface Keeper {
  /** Something may have changed. */
  look(): void;
  /** The owner wants it to end: what is done is handed in first. */
  leave(): void;
  /** Resolves with an exit code when the run is over, the process has failed or the owner's wish has been followed. */
  readonly ended: Promise<number>;
}

export const KEEPER_LIMITS = {
  look_every_ms: 500, // settings and orders are files, whose changes nobody tells
  leave_ms: 20_000, // what handing in may take before a pause that was to be foreseen is enforced
} as const;

interface Started {
  readonly kept: Kept;
  kind: 'working' | 'stopped' | 'leaving';
  since_ms: number;
  duty: number;
}

export function openKeeper(options: KeeperOptions): Keeper {
  return new RuleKeeper(options);
}

class RuleKeeper implements Keeper {
  readonly ended: Promise<number>;
  readonly #options: KeeperOptions;
  #end: (code: number) => void = () => {};
  #over = false;
  #leaving = false;
  #memory: PolicyMemory = NO_MEMORY;
  #told = '';
  #process: Started | null = null;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#end = (code) => {
        this.#over = true;
        resolve(code);
      };
    });
    this.#again();
  }

  look(): void {
    if (this.#over || this.#leaving) return;
    const { signals, settings, orders, clock, cores } = this.#options;
    const moment = { now_ms: clock.now_ms(), elapsed_ms: clock.elapsed_ms(), cores };
    const { decision, memory } = decide(signals(), settings(), orders(), moment, this.#memory);
    this.#memory = memory;
    // Acted on before it is told: telling may take longer.
    if (decision.do === 'pause') this.#pause(decision);
    else this.#work(decision);
    const news = JSON.stringify([decision.do, decision.cores, decision.duty, decision.reasons.map(({ code }) => code)]);
    if (news === this.#told) return;
    this.#told = news;
    this.#options.onDecision(decision);
  }

  leave(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    const now = this.#process;
    if (now?.kind === 'stopped') now.kept.go(now.duty);
    if (now) now.kept.leave();
    else this.#end(0);
  }

  #again(): void {
    this.#options.clock.setTimeout(() => {
      if (this.#over) return;
      this.look();
      this.#again();
    }, KEEPER_LIMITS.look_every_ms);
  }

  #work(decision: Decision): void {
    const { threads, duty } = this.#options;
    const part = duty * decision.duty * Math.min(1, decision.cores / threads);
    const now = this.#process;
    // One that hands in and leaves comes back when it has.
    if (now?.kind === 'leaving') return;
    if (now?.kind === 'working' && now.duty === part) return;
    const next = now ?? this.#start();
    this.#become(next, 'working');
    next.duty = part;
    next.kept.go(part);
  }

  #pause({ hand_in, keep_memory_ms }: Decision): void {
    const now = this.#process;
    if (!now) return;
    const lasted_ms = this.#options.clock.elapsed_ms() - now.since_ms;
    if (now.kind === 'working' && hand_in) {
      this.#become(now, 'leaving');
      now.kept.leave();
    } else if (now.kind === 'working' || (now.kind === 'leaving' && !hand_in)) {
      this.#become(now, 'stopped');
      now.kept.stop();
      if (keep_memory_ms === 0) now.kept.kill();
    } else if (lasted_ms >= (now.kind === 'leaving' ? KEEPER_LIMITS.leave_ms : keep_memory_ms)) now.kept.kill();
  }

  #become(now: Started, kind: Started['kind']): void {
    now.kind = kind;
    now.since_ms = this.#options.clock.elapsed_ms();
  }

  #start(): Started {
    const { start, clock } = this.#options;
    const kept = start();
    const started: Started = { kept, kind: 'working', since_ms: clock.elapsed_ms(), duty: 0 };
    this.#process = started;
    void kept.ended.then(({ finished, code }) => {
      const expected = started.kind !== 'working';
      this.#process = null;
      if (this.#leaving || finished || !expected) this.#end(code);
      else this.look();
    });
    return started;
  }
}
