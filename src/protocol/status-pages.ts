// The pages of a hub's status put together, for whoever asks for all of it over HTTP.

/** The path of a page; `from` is the `next` of the page before. */
export const statusPath = (from: number, peers: 'all' | 'none' = 'all'): string =>
  `/status${peers === 'none' ? '?peers=none' : ''}${from === 0 ? '' : `${peers === 'none' ? '&' : '?'}from=${from}`}`;

/** More than any hub has: twenty thousand peers are eight. It bounds what a hub can make somebody ask. */
const MOST_PAGES = 100;

/** What one page has of a run. */
interface Part {
  readonly run: string;
  readonly peers: readonly { readonly id: string }[];
}

/**
 * Asks for one page after the other.
 * @param ask resolves to a page, parsed; it may throw
 */
export async function allPages<P extends { readonly next?: number | null }>(
  ask: (from: number) => Promise<P>,
): Promise<[P, ...P[]]> {
  const pages: [P, ...P[]] = [await ask(0)];
  for (let next = pages[0].next ?? null; next !== null && pages.length < MOST_PAGES; ) {
    const page = await ask(next);
    pages.push(page);
    const after = page.next ?? null;
    if (after !== null && after <= next) break; // a hub that goes round in circles is not followed
    next = after;
  }
  return pages;
}

/** Each run once with all its peers, each once: what changed while the pages were asked for is as it was last. */
export function joinedRuns<R extends Part>(pages: readonly { readonly runs: readonly R[] }[]): R[] {
  const joined = new Map<string, { run: R; peers: Map<string, R['peers'][number]> }>();
  for (const { runs } of pages) {
    for (const run of runs) {
      const peers = joined.get(run.run)?.peers ?? new Map();
      for (const peer of run.peers) peers.set(peer.id, peer);
      joined.set(run.run, { run, peers });
    }
  }
  return [...joined.values()].map(({ run, peers }) => ({ ...run, peers: [...peers.values()] }));
}
