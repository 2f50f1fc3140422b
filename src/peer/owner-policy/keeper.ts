// Keeps a process that works within its owner's rules: starts it, slows it, stops it where it is, and ends it when its memory is wanted.
// A process of its own, because nothing else stops at once whatever it is at, and gives all of its memory back.
import type { Clock } from '../../protocol/clock.ts';
import type { Obstacle } from '../../protocol/messages.ts';
import { type Decision, decide, NO_MEMORY, type Orders, type PolicyMemory, type Unreadable } from './decide.ts';
import { toldOthers, wordsFor } from './reasons.ts';
import type { DeviceSettings } from './settings.ts';
import type { Signals } from './signals.ts';
import { tickAt } from './sources.ts';

/** A process that takes part in a run. */
export interface Kept {
  /** Works from now on, or goes on, at this part of the time. `gpu_rests`: why it may use no graphics processor; null: it may. */
  go(duty: number, gpu_rests: string | null): void;
  /** Stands still wherever it is, at once, until `go`. `why` is for others to know; null: they learn only that it pauses. */
  stop(why: Obstacle | null): void;
  /** Hands in what is done, then ends. */
  leave(): void;
  /** The same, and the graphics processor is free within a second, whether that was enough to hand in or not. */
  freeGpu(): void;
  /** Ends when the work at hand is handed in, to begin anew on something else. */
  leaveAfterWork(): void;
  /** Whether it computes on a graphics processor, or may yet come to; a sentence where one has failed it. */
  gpu(): 'maybe' | 'none' | { readonly failed: string };
  /** Ends at once. */
  kill(): void;
  readonly ended: Promise<End>;
}

/** How a process ended. `finished`: the run is over. A code that is not 0: by a failure that it has told. */
export interface End {
  readonly finished: boolean;
  readonly code: number;
  /** The signal that ended it, where it told nothing. */
  readonly signal?: string | null;
}

export interface KeeperOptions {
  readonly clock: Clock;
  readonly cores: number;
  /** The threads that the process computes with, and the part of the time that its owner asked for when it was started. */
  readonly threads: number;
  readonly duty: number;
  /** The graphics processor that it may compute on where the rules allow it: its number, or any that the driver chooses; null: none. */
  readonly gpu: number | 'any' | null;
  signals(): Signals;
  settings(): DeviceSettings | Unreadable;
  orders(): Orders;
  start(): Kept;
  /** Hears of each decision that differs from the one before in what is done or why. */
  onDecision(decision: Decision): void;
  /** Hears that the system has ended the process. `again_ms`: when the next one starts; null: there have been too many. */
  onStruck(signal: string, again_ms: number | null): void;
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
  first_rest_ms: 5000, // after the system has ended it, most often for want of memory; each further time in a row twice as long
  most_strikes: 5, // in a row: whatever it is, to begin once more mends nothing
  good_ms: 600_000, // work that lasts so long ends the row
} as const;

/** Signals by which a system or a crash ends a process, not a person who wants it to end. */
const STRUCK_BY = ['SIGKILL', 'SIGABRT', 'SIGSEGV', 'SIGBUS', 'SIGILL'];

interface Started {
  readonly kept: Kept;
  kind: 'working' | 'stopped' | 'leaving';
  since_ms: number;
  duty: number;
  /** As it was told last. */
  gpu_rests: string | null;
  /** It was started with leave to use a graphics processor. */
  readonly with_gpu: boolean;
  /** It ends after the work at hand, to begin anew with a graphics processor. */
  changes: boolean;
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
  #gpu: KeeperOptions['gpu'];
  /** Why its graphics processor is not tried again. */
  #gpuFailed: string | null = null;
  /** How often in a row the system has ended the process, and until when none is started, by the clock's elapsed time. */
  #strikes = 0;
  #rests_until_ms = 0;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#gpu = options.gpu;
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
    const { decision: decided, memory } = decide(signals(), settings(), orders(), moment, this.#memory);
    this.#memory = memory;
    this.#hearOfGpu();
    const decision = this.#gpu === null || this.#gpuMay(decided) ? { ...decided, gpu_reasons: [] } : decided;
    // Acted on before it is told: telling may take longer.
    if (decision.do === 'pause') this.#pause(decision);
    else this.#work(decision);
    // Of a graphics processor that it does not use nothing is told.
    const told =
      this.#process?.kept.gpu() === 'none' && this.#process.with_gpu ? { ...decision, gpu_reasons: [] } : decision;
    const codes = [told.reasons, told.gpu_reasons].map((reasons) => reasons.map(({ code }) => code));
    const news = JSON.stringify([told.do, told.cores, told.duty, codes]);
    if (news === this.#told) return;
    this.#told = news;
    this.#options.onDecision(told);
  }

  leave(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    const now = this.#process;
    if (now?.kind === 'stopped') now.kept.go(now.duty, now.gpu_rests);
    if (now) now.kept.leave();
    else this.#end(0);
  }

  #again(): void {
    const { clock } = this.#options;
    const now_ms = clock.elapsed_ms();
    clock.setTimeout(() => {
      if (this.#over) return;
      this.look();
      this.#again();
    }, tickAt(now_ms, KEEPER_LIMITS.look_every_ms) - now_ms);
  }

  #work(decision: Decision): void {
    const { threads, duty } = this.#options;
    const part = duty * decision.duty * Math.min(1, decision.cores / threads);
    const now = this.#process;
    // One that hands in and leaves comes back when it has.
    if (now?.kind === 'leaving') return;
    if (now && this.#onForbiddenGpu(decision)) {
      this.#become(now, 'leaving');
      now.kept.freeGpu();
      return;
    }
    if (now && !now.with_gpu && !now.changes && this.#gpu !== null && decision.gpu_reasons.length === 0) {
      now.changes = true;
      now.kept.leaveAfterWork();
    }
    if (!now && this.#options.clock.elapsed_ms() < this.#rests_until_ms) return;
    const rests = this.#whyGpuRests(decision);
    if (now?.kind === 'working' && now.duty === part && (now.gpu_rests === null) === (rests === null)) return;
    const next = now ?? this.#start(rests);
    this.#become(next, 'working');
    next.duty = part;
    next.gpu_rests = rests;
    next.kept.go(part, rests);
  }

  #pause(decision: Decision): void {
    const now = this.#process;
    if (!now) return;
    const { hand_in } = decision;
    const forbidden = this.#onForbiddenGpu(decision);
    const keep_memory_ms = forbidden ? 0 : decision.keep_memory_ms;
    const lasted_ms = this.#options.clock.elapsed_ms() - now.since_ms;
    if (now.kind === 'working' && hand_in) {
      this.#become(now, 'leaving');
      if (forbidden) now.kept.freeGpu();
      else now.kept.leave();
    } else if (now.kind === 'working' || (now.kind === 'leaving' && !hand_in)) {
      this.#become(now, 'stopped');
      now.kept.stop(this.#toldOthers(decision));
      if (keep_memory_ms === 0) now.kept.kill();
    } else if (lasted_ms >= (now.kind === 'leaving' ? KEEPER_LIMITS.leave_ms : keep_memory_ms)) now.kept.kill();
  }

  /** Whether what may be on a graphics processor now has to leave it. */
  #onForbiddenGpu({ gpu_reasons }: Decision): boolean {
    const now = this.#process;
    return !!now?.with_gpu && gpu_reasons.length > 0 && now.kept.gpu() === 'maybe';
  }

  #gpuMay({ gpus, gpu_reasons }: Decision): boolean {
    return gpu_reasons.length === 0 || (typeof this.#gpu === 'number' && gpus.includes(this.#gpu));
  }

  #toldOthers({ reasons }: Decision): Obstacle | null {
    const settings = this.#options.settings();
    return toldOthers(reasons, 'share_reason' in settings && settings.share_reason);
  }

  #whyGpuRests({ gpu_reasons }: Decision): string | null {
    return this.#gpuFailed ?? (gpu_reasons.length > 0 ? `the GPU rests: ${wordsFor(gpu_reasons)}` : null);
  }

  #hearOfGpu(): void {
    const gpu = this.#process?.kept.gpu();
    if (typeof gpu !== 'object') return;
    this.#gpu = null;
    this.#gpuFailed = gpu.failed;
  }

  #become(now: Started, kind: Started['kind']): void {
    now.kind = kind;
    now.since_ms = this.#options.clock.elapsed_ms();
  }

  #start(gpu_rests: string | null): Started {
    const { start, clock } = this.#options;
    const kept = start();
    const with_gpu = this.#gpu !== null && gpu_rests === null;
    const since_ms = clock.elapsed_ms();
    const started: Started = { kept, kind: 'working', since_ms, duty: 0, gpu_rests, with_gpu, changes: false };
    this.#process = started;
    void kept.ended.then(({ finished, code, signal = null }) => {
      this.#hearOfGpu();
      const failed = with_gpu && typeof kept.gpu() === 'object';
      const expected = started.kind !== 'working' || started.changes || failed;
      this.#process = null;
      const goesOn = expected || this.#mayGoOn(signal, clock.elapsed_ms() - since_ms);
      if (this.#leaving || finished || !goesOn) this.#end(code);
      else this.look();
    });
    return started;
  }

  /** Whether another process starts, later, in place of one that was ended after so long. */
  #mayGoOn(signal: string | null, lasted_ms: number): boolean {
    if (this.#leaving || signal === null || !STRUCK_BY.includes(signal)) return false;
    this.#strikes = lasted_ms < KEEPER_LIMITS.good_ms ? this.#strikes + 1 : 1;
    const again_ms =
      this.#strikes < KEEPER_LIMITS.most_strikes ? KEEPER_LIMITS.first_rest_ms * 2 ** (this.#strikes - 1) : null;
    this.#options.onStruck(signal, again_ms);
    this.#rests_until_ms = this.#options.clock.elapsed_ms() + (again_ms ?? 0);
    return again_ms !== null;
  }
}
