// A public log up to a head that its hub has signed: what the log was then, whatever has come since.
import { decodeEntryBundle, encodeEntryBundle, TILE_WIDTH } from '../ledger/tiles.ts';
import type { PublicLog, SignedHead } from './public-log.ts';
import { checkBundle } from './replay.ts';

/** The first entries of a log, which has at least so many; a replay compares them with the head. */
export function logUpTo(log: PublicLog, head: SignedHead): PublicLog {
  const { size } = head;
  return {
    ...log,
    ...{ head, size, cosigned: null },
    async *pages() {
      for await (const page of log.pages()) {
        const count = Math.min(page.count, size - page.first);
        if (count <= 0) return;
        if (count === page.count) {
          yield page;
          continue;
        }
        checkBundle(page);
        const entries = decodeEntryBundle(page.bundle, page.count).slice(0, count);
        yield { first: page.first, count, bundle: encodeEntryBundle(entries) };
        return;
      }
    },
    // At the edge the log has longer tiles by now.
    tile: async (level, index, width) => (width < TILE_WIDTH ? null : log.tile(level, index, width)),
    status: async () => null,
    close() {},
  };
}
