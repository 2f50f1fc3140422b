// Runs of other hubs that this hub's directory lists, with the way to each: what their owners have said here, proven by nothing on this page.
import { useEffect, useState } from 'preact/hooks';
import { type DirectoryPage, DirectoryPageSchema, directoryPath } from '../../peer/directory-page.ts';
import { nameOf, short } from '../shell/format.ts';
import type { Live } from '../shell/live.ts';
import './directory.css';

type Listed = DirectoryPage['runs'][number];

/** What is known of the directory so far; `next`: where the rest begins, null for none. */
interface Known {
  readonly runs: readonly Listed[];
  readonly next: number | null;
}

const NOTHING: Known = { runs: [], next: 0 };

export function Elsewhere({ live }: { live: Pick<Live, 'hub' | 'connection'> }) {
  const [known, setKnown] = useState(NOTHING);
  const fetchMore = async (before: Known): Promise<void> => {
    const page = await pageFrom(before.next ?? 0);
    if (page) setKnown({ runs: [...before.runs, ...page.runs], next: page.next });
  };
  const here = live.connection === 'live';
  useEffect(() => {
    if (here) void fetchMore(NOTHING);
  }, [here]);
  // Those of this hub have their place among its runs.
  const runs = known.runs.filter(({ hub }) => hub !== live.hub);
  if (runs.length === 0) return null;
  return (
    <section class="elsewhere" aria-labelledby="elsewhere">
      <h2 id="elsewhere">Runs of other hubs</h2>
      <p class="fine">
        Their owners have listed them here. Each link leads to another hub, in whose own ledger the run is.{' '}
        <code>potluck run list --registry {location.origin}</code> holds every line against this ledger.
      </p>
      <ul class="runs">
        {runs.map(({ run, name, owner, url }) => (
          <li key={run}>
            <a href={`${url}/r/${run}`} rel="noreferrer">
              <span class="name">{nameOf(name)}</span>
              <small>
                at {url}, listed by <code>{short(owner)}</code>
              </small>
            </a>
          </li>
        ))}
      </ul>
      {known.next !== null && (
        <p>
          <button type="button" onClick={() => void fetchMore(known)}>
            Show more
          </button>
        </p>
      )}
    </section>
  );
}

/** null where there is none to be had: a hub that is away says so at the top of the page, and an older one has no directory. */
async function pageFrom(from: number): Promise<DirectoryPage | null> {
  const response = await fetch(directoryPath(from)).catch(() => null);
  const page = DirectoryPageSchema.safeParse(await response?.json().catch(() => null));
  return response?.ok && page.success ? page.data : null;
}
