// A registry's directory: which runs it lists, each proven by an entry of the registry's log, and where such a run is now.
import { RunListedSchema } from '../core/events/run-listed.ts';
import { LOGS_LIMITS } from '../core/limits.ts';
import { openForeign } from '../core/moving/foreign-event.ts';
import { openListing } from '../core/registry/directory.ts';
import type { Listing } from '../core/state.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { runMeant } from '../protocol/run-handle.ts';
import { allPages } from '../protocol/status-pages.ts';
import { DirectoryPageSchema, directoryPath } from './directory-page.ts';
import { findRun, readHub } from './find-run.ts';
import { nextHub, type RunAt } from './moved-run.ts';
import { provenEntry } from './proven-entry.ts';

/** What a registry says of a run that it lists: its word alone, until `provenListing` has seen the entry. */
export interface ListedRun extends Listing {
  readonly run: string;
}

/**
 * What a registry's directory lists, and the registry's id. @param wanted only runs with this name, or whose id begins so
 * Throws PeerError `not-a-hub`, `hub-unreachable`, `refused`.
 */
export async function directoryOf(
  url: string,
  wanted?: string,
): Promise<{ readonly hub: string; readonly runs: ListedRun[] }> {
  const pages = await allPages(async (from) => {
    const { ok, json } = await readHub(url, directoryPath(from, wanted));
    const page = DirectoryPageSchema.safeParse(json);
    if (ok && page.success) return page.data;
    throw new PeerError('not-a-hub', `expected a registry's directory at ${url}/directory, it is something else`, {
      url,
    });
  });
  const runs = new Map(pages.flatMap((page) => page.runs).map((one) => [one.run, one]));
  return { hub: pages[0].hub, runs: [...runs.values()].slice(0, LOGS_LIMITS.listed_runs) };
}

/**
 * A listing as the entry of the registry's log has it: in a head that the registry has signed, by the run's owner, with the proof that the
 * hub's log holds the run. Throws PeerError `bad-proof`, `not-a-hub`, `hub-unreachable`.
 */
export async function provenListing(url: string, registry: string, run: string): Promise<ListedRun> {
  const entry = await provenEntry(url, registry, `/directory/${run}/proof`);
  const bad = (message: string) => new PeerError('bad-proof', `the registry at ${url} does not prove: ${message}`);
  const event = openForeign(entry);
  if ('code' in event) throw bad(event.message);
  const said = RunListedSchema.safeParse(event.body);
  if (!said.success || said.data.run !== run) {
    throw bad(`expected a run.listed of run ${run}, got entry ${entry.index}, a ${event.body.type}`);
  }
  const listing = openListing(said.data);
  if ('code' in listing) throw bad(listing.message);
  if (listing.owner !== event.author) {
    throw bad(`expected a listing by the run's owner ${listing.owner}, got one by ${event.author}`);
  }
  return { run, ...listing };
}

/**
 * Where a run is now: at the hub that a listing names, or where it has gone from there.
 * @param from the address that a person has named; nobody is sent from there into their own network
 * Throws PeerError `elsewhere`, `other-hub`, and what `find` throws.
 */
export async function runNow(from: string, listing: ListedRun, find: typeof findRun = findRun): Promise<RunAt> {
  const { url, hub } = nextHub(from, listing, 0);
  return followed({ url, ...(await foundAt(url, hub, listing.run, find)) }, find);
}

/**
 * The run that a person means at an address: in that hub's log or in its directory, and from there wherever it is now.
 * Throws PeerError `no-such-run`, `bad-proof`, `elsewhere`, `other-hub`, `hub-unreachable`, `not-a-hub`, `refused`.
 */
export async function findRunFrom(url: string, wanted: string): Promise<RunAt> {
  let here: PeerError;
  try {
    return await followed({ url, ...(await findRun(url, wanted)) }, findRun);
  } catch (error) {
    if (!(error instanceof PeerError && error.code === 'no-such-run')) throw error;
    here = error;
  }
  const { hub, runs } = await directoryOf(url, wanted).catch((error: unknown) => {
    // An older hub has no directory.
    throw error instanceof PeerError && error.code === 'not-a-hub' ? here : error;
  });
  const known = runs.map(({ run, name }) => ({ id: run, name, finished: false }));
  const meant = runMeant(known, wanted, 'the directory');
  if (typeof meant === 'string') {
    throw new PeerError(
      'no-such-run',
      runs.length > 0 ? meant : `${here.message}, and its directory lists no such run`,
    );
  }
  return runNow(url, await provenListing(url, hub, meant.id));
}

/** Goes after a run through the logs that have let it go. */
async function followed(first: RunAt, find: typeof findRun): Promise<RunAt> {
  let at = first;
  for (let hops = 0; at.view.moved; hops++) {
    const { url, hub } = nextHub(at.url, { run: at.view.run, ...at.view.moved }, hops);
    at = { url, ...(await foundAt(url, hub, at.view.run, find)) };
  }
  return at;
}

async function foundAt(url: string, hub: string, run: string, find: typeof findRun) {
  const found = await find(url, run);
  if (found.hub === hub) return found;
  throw new PeerError('other-hub', `expected the hub ${hub} at ${url}, got ${found.hub}`, { url });
}
