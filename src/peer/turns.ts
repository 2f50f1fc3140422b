// Several runs on one device: one computes at a time, each for its share. Stride scheduling (Waldspurger and Weihl 1995), with what is forgotten bounded.
import type { AnyGame, Device } from '../games/game.ts';
import { type Clock, fired } from '../protocol/clock.ts';
import type { Throttle } from './policy.ts';

export const TURN_LIMITS = {
  slice_ms: 2000, // a turn lasts so long at least, however short a step is: what a processor has cached is used
  owed_ms: 60_000, // a run that had nothing to do is owed so much at most: nobody else waits longer for its return
} as const;

/** A run in the eyes of the scheduler. */
export interface Sharer {
  /** Its part of the time; those of all sharers make 1. */
  readonly share: number;
  /** What it has had, in milliseconds of computing; less than that of others for its share is owed to it. */
  readonly had_ms: number;
  readonly wants: boolean;
}

/** Whose turn it is: who has had the least for its share, of those who want it. null: nobody does. */
export function nextTurn(sharers: readonly Sharer[]): number | null {
  let next: number | null = null;
  for (const [i, { share, had_ms, wants }] of sharers.entries()) {
    if (wants && (next === null || had_ms / share < sharers[next].had_ms / sharers[next].share)) next = i;
  }
  return next;
}

/**
 * What counts as had by a sharer that comes back from having nothing to do.
 * @param most_ms the most that anybody has had for its share, as if that were everything
 */
export const hadOnReturn = ({ share, had_ms }: Sharer, most_ms: number): number =>
  Math.max(had_ms, share * most_ms - TURN_LIMITS.owed_ms);

/** One run's part in the turns of a device. */
export interface Turn {
  /** What holds this run's work back: the device's throttle, and the turns of the others. */
  readonly throttle: Throttle;
  /** The same game, which computes when it is its turn. */
  inTurn(game: AnyGame): AnyGame;
  /** How long it has computed. */
  computed_ms(): number;
}

/** Turns for runs with these shares, of which one computes at a time. @param throttle the device's own; it is asked by whoever has the turn */
export function openTurns(shares: readonly number[], throttle: Throttle, clock: Clock): Turn[] {
  const all = shares.reduce((sum, share) => sum + share, 0);
  const awake_ms = (): number => clock.elapsed_ms() - throttle.away_ms();
  const turns = new Turns(
    shares.map((share) => share / all),
    awake_ms,
  );
  return shares.map((_, i) => turnOf(turns, i, throttle, awake_ms));
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Waiting {
  readonly since_ms: number;
  readonly over: Promise<void>;
  readonly end: () => void;
}

class Turns {
  readonly sharers: (Mutable<Sharer> & { computed_ms: number; waited_ms: number })[];
  readonly #awake_ms: () => number;
  readonly #waiting = new Map<number, Waiting>();
  #holder: number | null = null;
  /** Since the holder's turn began, and since it was charged last. */
  #turn_ms = 0;
  #resumed_ms = 0;
  #most_ms = 0;

  constructor(shares: readonly number[], awake_ms: () => number) {
    this.sharers = shares.map((share) => ({ share, had_ms: 0, wants: false, computed_ms: 0, waited_ms: 0 }));
    this.#awake_ms = awake_ms;
  }

  has(i: number): boolean {
    return this.#holder === i;
  }

  isFree(): boolean {
    return this.#holder === null;
  }

  /** Resolves when it is this sharer's turn, or when it has stopped wanting it. */
  want(i: number): Promise<void> {
    const sharer = this.sharers[i];
    if (!sharer.wants) sharer.had_ms = hadOnReturn(sharer, this.#most_ms);
    sharer.wants = true;
    if (this.#holder === i) return Promise.resolve();
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(i) ?? { since_ms: this.#awake_ms(), over, end };
    this.#waiting.set(i, waiting);
    if (this.#holder === null) this.#next();
    return waiting.over;
  }

  /** The holder begins to compute, or goes on: time before this was rest. */
  resume(i: number): void {
    if (this.#holder === i) this.#resumed_ms = this.#awake_ms();
  }

  /** The holder has computed since it resumed. */
  charge(i: number): void {
    if (this.#holder !== i) return;
    const sharer = this.sharers[i];
    const spent_ms = this.#awake_ms() - this.#resumed_ms;
    sharer.had_ms += spent_ms;
    sharer.computed_ms += spent_ms;
    this.#turn_ms += spent_ms;
    this.#most_ms = Math.max(this.#most_ms, sharer.had_ms / sharer.share);
    this.resume(i);
  }

  /** Between two units of work: another's turn may have come. */
  async passOn(i: number): Promise<void> {
    if (this.#holder !== i || this.#turn_ms < TURN_LIMITS.slice_ms || nextTurn(this.sharers) === i) return;
    this.#holder = null;
    await this.want(i);
  }

  /** It has nothing to compute for now. */
  stop(i: number): void {
    this.charge(i);
    this.sharers[i].wants = false;
    this.#over(i);
    if (this.#holder !== i) return;
    this.#holder = null;
    this.#next();
  }

  waited_ms(i: number): number {
    const waiting = this.#waiting.get(i);
    return this.sharers[i].waited_ms + (waiting ? this.#awake_ms() - waiting.since_ms : 0);
  }

  #next(): void {
    const next = nextTurn(this.sharers);
    this.#holder = next;
    this.#turn_ms = 0;
    if (next === null) return;
    this.resume(next);
    this.#over(next);
  }

  /** The wait is over. */
  #over(i: number): void {
    const waiting = this.#waiting.get(i);
    if (!waiting) return;
    this.sharers[i].waited_ms = this.waited_ms(i);
    this.#waiting.delete(i);
    waiting.end();
  }
}

function turnOf(turns: Turns, i: number, throttle: Throttle, awake_ms: () => number): Turn {
  /** How many parts of the game compute now: a sample may be cut short by a check. */
  let parts = 0;
  const inside = async <T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> => {
    parts++;
    const stop = (): void => {
      if (!turns.has(i) && parts === 1) turns.stop(i);
    };
    signal?.addEventListener('abort', stop, { once: true });
    try {
      if (!signal?.aborted) await turns.want(i);
      // Rest may be owed for longer than there is something to do.
      if (turns.has(i)) await Promise.race([throttle.rested(), ...(signal ? [fired(signal)] : [])]);
      turns.resume(i);
      return await work();
    } finally {
      signal?.removeEventListener('abort', stop);
      if (--parts === 0) turns.stop(i);
    }
  };
  const progress: Device['progress'] = async (report) => {
    turns.charge(i);
    await throttle.progress(report);
    await turns.passOn(i);
    // The end of a round may have broken off another's rest: it is paid before anybody computes.
    if (turns.has(i)) await throttle.rested();
    turns.resume(i);
  };
  return {
    computed_ms: () => turns.sharers[i].computed_ms,
    throttle: {
      ...throttle,
      progress,
      // What another's work owes is paid by that other.
      rested: async () => (turns.isFree() ? throttle.rested() : undefined),
      away_ms: () => throttle.away_ms() + turns.waited_ms(i),
    },
    inTurn: (game) => ({
      ...game,
      perform: (task, device, signal) => inside(() => Promise.resolve(game.perform(task, device, signal)), signal),
      check: (task, claim, device, judging) => {
        const asked_ms = awake_ms();
        // Waiting takes from the time in which the verdict must be there.
        return inside(async () => {
          const time_ms = Math.max(0, judging.time_ms - (awake_ms() - asked_ms));
          return game.check(task, claim, device, { ...judging, time_ms });
        });
      },
      evaluate: (params, state, device) => inside(async () => game.evaluate(params, state, device)),
      ...(game.sample && {
        sample: (params, state, device, signal) =>
          inside(async () => game.sample?.(params, state, device, signal) ?? null, signal),
      }),
    }),
  };
}
