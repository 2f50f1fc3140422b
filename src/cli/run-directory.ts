// `potluck run list --registry URL`: the runs of a registry's directory, wherever they are now, a line each.
import { CodedError } from '../errors.ts';
import { directoryOf, type ListedRun, provenListing, runNow } from '../peer/directory.ts';
import { chooseRun, fetchRuns } from '../peer/find-run.ts';
import type { RunAt } from '../peer/moved-run.ts';
import { metricText } from '../protocol/measures.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { formatCount, type Output } from './output.ts';

const AT_ONCE = 8; // runs that are looked up: hubs of strangers, some of which do not answer

/** A listed run, and where it is now; `why`: why that is not known. */
interface Found {
  readonly listing: ListedRun;
  readonly at: RunAt | null;
  readonly why: string | null;
}

export interface DirectoryFlags {
  /** Only the runs of this account; null: everybody's. */
  readonly owner: string | null;
  readonly all: boolean;
}

/** Says what a registry lists. Each listing is proven by the registry's log, then its hub is asked. Throws PeerError. */
export async function sayDirectory(url: string, { owner, all }: DirectoryFlags, output: Output): Promise<void> {
  const { hub: registry, runs } = await directoryOf(url);
  const mine = runs.filter((run) => owner === null || run.owner === owner);
  const found = await lookedUp(url, registry, mine);
  const shown = found.filter(({ at }) => all || at?.view.phase !== 'finished').sort((a, b) => rank(a) - rank(b));
  const rest = found.length - shown.length;
  const rows = shown.map(rowOf);
  if (shown.length === 0) rows.push(`No run${owner === null ? '' : ' of yours'} goes on that is listed at ${url}.`);
  if (rest > 0) rows.push(`${rest} finished (--all shows ${rest === 1 ? 'it' : 'them'})`);
  output.say(rows.join('\n'), {
    ...{ type: 'listed-runs', registry, url },
    runs: shown.map(({ listing, at, why }) => ({
      ...{ run: listing.run, name: listing.name, owner: listing.owner, why },
      ...{ hub: at?.hub ?? listing.hub, hub_url: at?.url ?? listing.url, phase: at?.view.phase ?? null },
      ...{ merged_rounds: at?.view.round ?? null, rounds: at?.view.rounds ?? null },
    })),
  });
}

/** Runs that go on, then those that are finished, then those of which nothing is known. */
const rank = ({ at }: Found): number => (at === null ? 2 : Number(at.view.phase === 'finished'));

async function lookedUp(url: string, registry: string, runs: readonly ListedRun[]): Promise<Found[]> {
  // Many runs are at one hub, which is asked once.
  const hubs = new Map<string, ReturnType<typeof fetchRuns>>();
  const find = async (at: string, wanted?: string) => {
    const asked = hubs.get(at) ?? fetchRuns(at);
    hubs.set(at, asked);
    const { hub, runs } = await asked;
    return { hub, view: chooseRun(runs, wanted) };
  };
  const found: Found[] = [];
  const todo = runs.entries();
  const lookUp = async (): Promise<void> => {
    for (const [i, { run }] of todo) {
      found[i] = { listing: runs[i], at: null, why: null };
      try {
        const listing = await provenListing(url, registry, run);
        found[i] = { listing, at: await runNow(url, listing, find), why: null };
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        found[i] = { ...found[i], why: error.message };
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lookUp));
  return found;
}

function rowOf({ listing, at, why }: Found): string {
  if (!at) return [listing.run.slice(0, 12), nameOf(listing.name), `not found: ${why}`].join('  ');
  const { run, phase, round, rounds, metrics, name } = at.view;
  const done = `${formatCount(round)}/${formatCount(rounds)}`;
  const columns = [run.slice(0, 12), phase.padEnd(9), done.padStart(11), metricText(metrics[0]).padStart(21)];
  return [...columns, at.url, nameOf(name)].join('  ').trimEnd();
}
