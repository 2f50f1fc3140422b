// The state as people see it, computed once for everybody who asks meanwhile: with thousands of peers it is a tenth of a second of work.
import type { Clock } from '../protocol/clock.ts';
import type { RunStatus } from '../protocol/messages.ts';

/** An answer is given again for so many times as long as it took to make: whoever asks, one part in so many of a core goes into it. */
const KEPT_TIMES = 20;
/** However long it took. */
const KEPT_AT_MOST_MS = 2000;
/** The least of the last few times counts: on a machine that is busy with other things one may take long for nothing. */
const TIMES_REMEMBERED = 3;

export interface Statuses {
  /** As it is now. */
  fresh(): RunStatus[];
  /** As it was a moment ago, which on a hub with few peers is now. The same array for as long as it is the same answer. */
  recent(): RunStatus[];
}

export function openStatuses(compute: () => RunStatus[], clock: Pick<Clock, 'elapsed_ms'>): Statuses {
  let last: { readonly runs: RunStatus[]; readonly made_ms: number } | undefined;
  const took_ms: number[] = [];
  const fresh = (): RunStatus[] => {
    const begun_ms = clock.elapsed_ms();
    const runs = compute();
    const made_ms = clock.elapsed_ms();
    took_ms.push(made_ms - begun_ms);
    if (took_ms.length > TIMES_REMEMBERED) took_ms.shift();
    last = { runs, made_ms };
    return runs;
  };
  return {
    fresh,
    recent() {
      const kept_ms = Math.min(KEPT_AT_MOST_MS, Math.min(...took_ms) * KEPT_TIMES);
      return last && clock.elapsed_ms() - last.made_ms < kept_ms ? last.runs : fresh();
    },
  };
}
