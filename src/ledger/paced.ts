// When a commit is made: at once after a quiet moment, and otherwise so long after the one before that many calls share it.

/** Runs a callback a moment later. */
export type Soon = (run: () => void) => void;

/**
 * The least time between two commits that follow each other. A flush of the disk takes about as long, and costs the same for one call as for a hundred;
 * whoever waits for one call after the other hardly notices.
 */
const GAP_MS = 8;

/** After a pause of `gap_ms`: at the end of this turn of the event loop, so that calls of one turn share a commit; otherwise when that time is over. */
export function pacedSoon(gap_ms = GAP_MS, now_ms: () => number = () => performance.now()): Soon {
  let last_ms = Number.NEGATIVE_INFINITY;
  return (run) => {
    const begin = (): void => {
      run();
      last_ms = now_ms();
    };
    const left_ms = last_ms + gap_ms - now_ms();
    if (left_ms > 0) setTimeout(begin, left_ms);
    else setImmediate(begin);
  };
}
