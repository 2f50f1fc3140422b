// The state as people see it, computed once for everybody who asks meanwhile: with thousands of peers it is a tenth of a second of work.
import type { Clock } from '../protocol/clock.ts';
import type { RunStatus } from '../protocol/messages.ts';

/** An answer is given again for so many times as long as it took to make: whoever asks, one part in so many of a core goes into it. */
const KEPT_TIMES = 20;
/** However long it took. */
const KEPT_AT_MOST_MS = 2000;
/** The least of the last few times counts: on a machine that is busy with other things one may take long for nothing. */
const TIMES_REMEMBERED = 3;

/** What takes time to make, made once for everybody who asks meanwhile. */
export interface Kept<T> {
  /** As it is now. */
  fresh(): T;
  /** As it was a moment ago, which is now where it costs next to nothing. The same one for as long as it is the same answer. */
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
