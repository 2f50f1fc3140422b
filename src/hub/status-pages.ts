// The state as people see it, in pages: runs and their peers in their order, as many as fit into one answer or message.
import type { RunStatus } from '../protocol/messages.ts';

/** Of one page, as JSON: what is larger no observer takes (WIRE_LIMITS.message_bytes), with room for what is around it. */
export const STATUS_PAGE_BYTES = 900_000;

/** Runs, the first and last of them with a part of their peers; `next`: where the next page begins, null where this is the last. */
export interface StatusPage {
  readonly runs: RunStatus[];
  readonly next: number | null;
}

/**
 * @param from a `next` of the page before; 0: the beginning. Each run counts as one, and each of its peers
 */
export function statusPage(runs: readonly RunStatus[], from = 0, most_bytes = STATUS_PAGE_BYTES): StatusPage {
  const shown: RunStatus[] = [];
  let [at, taken, left_bytes] = [0, 0, most_bytes];
  /** Whether it fits; the first thing of a page is shown in any case, so that the next page begins behind it. */
  const takes = (item: unknown): boolean => {
    left_bytes -= sizeOf(item);
    if (left_bytes < 0 && taken > 0) return false;
    taken++;
    return true;
  };
  for (const run of runs) {
    const end = at + 1 + run.peers.length;
    if (end > from) {
      const overview = { ...run, peers: [] };
      if (from > at) left_bytes -= sizeOf(overview);
      else if (!takes(overview)) return { runs: shown, next: at };
      const first = Math.max(0, from - at - 1);
      let last = first;
      while (last < run.peers.length && takes(run.peers[last])) last++;
      shown.push(first === 0 && last === run.peers.length ? run : { ...run, peers: run.peers.slice(first, last) });
      if (last < run.peers.length) return { runs: shown, next: at + 1 + last };
    }
    at = end;
  }
  return { runs: shown, next: null };
}

const sizeOf = (item: unknown): number => Buffer.byteLength(JSON.stringify(item)) + 1;
