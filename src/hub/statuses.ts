// The state as people see it, computed once for all requests of a moment, because with thousands of peers it takes a tenth of a second.
import type { Clock } from '../protocol/clock.ts';
import type { RunStatus } from '../protocol/messages.ts';

/** An answer is reused for so many times as long as it took to make, so that this part of a core at most is spent on it. */
const KEPT_TIMES = 20;
/** The longest reuse. */
const KEPT_AT_MOST_MS = 2000;
/** The shortest of the last few times counts, because on a busy machine a single one may be slow. */
const TIMES_REMEMBERED = 3;

/** Something expensive, made once for all requests of a moment. */
export interface Kept<T> {
  /** The current value. */
  fresh(): T;
  /** A recent value, or the current one where making it is cheap. The same object as long as it is the same answer. */
  recent(): T;
}
export type Statuses = Kept<RunStatus[]>;

export function openKept<T>(make: () => T, clock: Pick<Clock, 'elapsed_ms'>): Kept<T> {
  let last: { readonly made: T; readonly made_ms: number } | undefined;
  const took_ms: number[] = [];
  const fresh = (): T => {
    const begun_ms = clock.elapsed_ms();
    const made = make();
    const made_ms = clock.elapsed_ms();
    took_ms.push(made_ms - begun_ms);
    if (took_ms.length > TIMES_REMEMBERED) took_ms.shift();
    last = { made, made_ms };
    return made;
  };
  return {
    fresh,
    recent() {
      const kept_ms = Math.min(KEPT_AT_MOST_MS, Math.min(...took_ms) * KEPT_TIMES);
      return last && clock.elapsed_ms() - last.made_ms < kept_ms ? last.made : fresh();
    },
  };
}
