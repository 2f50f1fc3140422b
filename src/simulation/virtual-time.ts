// Time that passes only when something happens: one queue of events, ties in the order in which they were made.
import type { Clock, Timer } from '../protocol/clock.ts';

interface Entry {
  readonly at_ms: number;
  readonly order: number;
  run: (() => void) | null;
}

/** Node's rule: a delay that is no number, below 1 or beyond 31 bits counts as 1. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

/** The begin of every simulation: an arbitrary moment in 2026. */
const EPOCH_MS = 1_780_000_000_000;

export class VirtualTime {
  now_ms = 0;
  /** How many events have happened. */
  events = 0;
  #order = 0;
  /** A binary heap by (at_ms, order). */
  readonly #heap: Entry[] = [];

  /** Lets something happen later. The result is only good for `cancel`. */
  after(delay_ms: number, run: () => void): Entry {
    const entry: Entry = { at_ms: this.now_ms + Math.max(0, delay_ms), order: this.#order++, run };
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
    return entry;
  }

  cancel(entry: Entry): void {
    entry.run = null;
  }

  /** Lets the next event happen, with everything that follows from it at once; false when there is none before `until_ms`. */
  async step(until_ms: number): Promise<boolean> {
    for (;;) {
      const next = this.#heap[0];
      if (!next || next.at_ms > until_ms) return false;
      this.#pop();
      if (!next.run) continue;
      this.now_ms = next.at_ms;
      this.events++;
      next.run();
      // All promises that can settle have settled before the next turn of the real event loop, because nothing here waits for the machine.
      await new Promise<void>((resolve) => setImmediate(resolve));
      return true;
    }
  }

  #before(a: Entry, b: Entry): boolean {
    return a.at_ms !== b.at_ms ? a.at_ms < b.at_ms : a.order < b.order;
  }

  #up(index: number): void {
    const heap = this.#heap;
    let i = index;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#before(heap[i], heap[parent])) return;
      [heap[i], heap[parent]] = [heap[parent], heap[i]];
      i = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    let i = 0;
    for (;;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < heap.length && this.#before(heap[child], heap[least])) least = child;
      }
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least], heap[i]];
      i = least;
    }
  }
}

/** The error of a machine's clock; somebody may change it at any time. */
export interface Skew {
  offset_ms: number;
  /** The speed of its clock; 1 is right. */
  readonly rate: number;
}

export const RIGHT_CLOCK = { offset_ms: 0, rate: 1 };

/**
 * One process from its start to its end: its clock, and everything that it still waits for.
 * After its end nothing of that happens.
 */
export class Process {
  readonly clock: Clock;
  alive = true;
  readonly time: VirtualTime;

  constructor(time: VirtualTime, skew: Skew) {
    this.time = time;
    const scaled = (): number => time.now_ms * skew.rate;
    this.clock = {
      now_ms: () => Math.round(EPOCH_MS + skew.offset_ms + scaled()),
      elapsed_ms: scaled,
      setTimeout: (run, delay_ms): Timer => {
        const delay = delay_ms >= 1 && delay_ms <= LONGEST_DELAY_MS ? Math.trunc(delay_ms) : 1;
        return this.after(delay / skew.rate, run);
      },
      clearTimeout: (timer) => {
        if (timer) time.cancel(timer as Entry);
      },
    };
  }

  /** Like VirtualTime.after, but only while the process lives. */
  after(delay_ms: number, run: () => void): Entry {
    return this.time.after(delay_ms, () => {
      if (this.alive) run();
    });
  }

  /** Resolves after some true time; never, if the process ends before. */
  wait(delay_ms: number): Promise<void> {
    return new Promise((resolve) => this.after(delay_ms, resolve));
  }

  kill(): void {
    this.alive = false;
  }
}
