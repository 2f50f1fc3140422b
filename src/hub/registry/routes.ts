// What a hub says of registries: which one names its devices, which runs its own directory lists, and the entries that prove where a run is.
import type { Context, Hono } from 'hono';
import type { NetworkState } from '../../core/state.ts';
import { isPeerId } from '../../protocol/identity.ts';
import { NO_STORE, problem } from '../answers.ts';
import type { Cosignatures } from '../cosignatures.ts';
import { entryProof, type PublicLog } from '../log-routes.ts';
import type { ListedRuns } from './listed.ts';

/** Runs of a directory in one answer: some hundred kilobytes at most. */
const PAGE_RUNS = 500;

export interface RegistryServices {
  readonly id: string;
  readonly state: Pick<NetworkState, 'registry' | 'devices' | 'directory' | 'runs'>;
  readonly listed: Pick<ListedRuns, 'entryOf'>;
  readonly log: PublicLog;
  readonly cosignatures: Cosignatures;
  /** See RegistryFollower; a hub that follows no registry knows what it knows. */
  want(device: string): Promise<boolean>;
}

/**
 * Adds /registry; with ?device=ID the answer says whether this log knows the device, after a look at the registry. /directory has the runs that are
 * listed here, in pages, with ?run=WORD those with that name or an id that begins so. /directory/RUN/proof has the last listing of a run with
 * its proof, and /runs/RUN/proof the entry with which a run came into this log.
 */
export function serveRegistry(app: Hono, services: RegistryServices): void {
  const { id, state, listed, want } = services;
  app.get('/registry', async (c) => {
    const device = c.req.query('device');
    const known = device !== undefined && isPeerId(device) ? await want(device) : null;
    const { registry } = state;
    const place = registry && { hub: registry.hub, url: registry.url, size: registry.size };
    return c.json({ hub: id, registry: place, known }, 200, NO_STORE);
  });
  app.get('/directory', (c) => {
    const from = Number(/^\d{1,9}$/.exec(c.req.query('from') ?? '')?.[0] ?? 0);
    const page = directoryPage(state.directory, c.req.query('run'), from);
    return c.json({ hub: id, ...page }, 200, NO_STORE);
  });
  app.get('/directory/:run/proof', (c) => proven(c, services, listed.entryOf(c.req.param('run'))));
  app.get('/runs/:run/proof', (c) => proven(c, services, state.runs.get(c.req.param('run'))?.entry ?? null));
}

function directoryPage(directory: NetworkState['directory'], wanted: string | undefined, from: number) {
  const meant = [...directory].filter(
    ([run, { name }]) => wanted === undefined || run.startsWith(wanted) || name === wanted,
  );
  const runs = meant.slice(from, from + PAGE_RUNS).map(([run, listing]) => ({ run, ...listing }));
  const next = from + PAGE_RUNS < meant.length ? from + PAGE_RUNS : null;
  return { runs, next };
}

/** An entry as a .tlog-proof. */
async function proven(c: Context, { log, cosignatures }: RegistryServices, entry: number | null): Promise<Response> {
  if (entry === null || entry >= log.size) {
    return c.json(problem('no-such-run', `no run ${c.req.param('run')} there in the log of this hub`), 404);
  }
  return c.text(await entryProof(entry, log, cosignatures), 200, { 'cache-control': 'no-cache' });
}
