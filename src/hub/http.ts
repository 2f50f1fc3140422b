// The hub over HTTP: signed events, and what people and scripts ask for. Blobs and the log have files of their own.
import { Hono, type MiddlewareHandler } from 'hono';
import type { BlobStore } from '../ledger/blob-store.ts';
import type { Receipt } from '../ledger/receipt.ts';

import type { Clock } from '../protocol/clock.ts';
import type { Fleet } from '../protocol/fleet.ts';

import {
  type AccountView,
  type DeviceWork,
  type HolderView,
  type RunHistory,
  type RunView,
  WIRE_LIMITS,
} from '../protocol/messages.ts';
import { addressOfAsker, announcedBytes, answerTo, NO_STORE, noteAskers, problem } from './answers.ts';
import type { AddressOf } from './askers.ts';

import { serveBlobs } from './blob-routes.ts';
import { serveCards } from './card-routes.ts';
import type { Lacked } from './cluster/cut-off.ts';
import type { Front } from './cluster/others.ts';
import type { Condition } from './condition.ts';
import type { Cosignatures } from './cosignatures.ts';
import { descriptorsHere } from './descriptors.ts';
import { type DirectBlobs, serveDirect } from './direct-blobs.ts';
import { serveFronts } from './front-routes.ts';
import { serveGameFrame } from './game-frame.ts';
import { serveLetters } from './letter-routes.ts';
import type { Letters } from './letters.ts';
import { type PublicLog, serveLog } from './log-routes.ts';
import type { MergedWork } from './merged-work.ts';
import { countRefusals, type Metrics, serveMetrics } from './metrics.ts';
import { checkOrigins, type Origins } from './origins.ts';
import { openPace } from './pace.ts';
import { openToReaders, type PageOptions, servePage, serveViews } from './page.ts';
import type { RateLimits } from './rate-limits.ts';
import { type RegistryServices, serveRegistry } from './registry/routes.ts';
import type { Samples } from './samples.ts';
import { type ApiAccess, serveApi, serveFleet } from './serving/api-routes.ts';
import type { Pool } from './serving/pool.ts';
import type { Receipts } from './serving/receipts.ts';
import { statusAnswer } from './status-answer.ts';
import type { Statuses } from './statuses.ts';
import { limitsFor, openTransfers } from './transfers.ts';
import type { UnnamedBlobs } from './unnamed-blobs.ts';
import type { PeerTelemetry } from './views.ts';
import type { WorkerHistories } from './worker-histories.ts';

/** Retry-After for what this hub cannot do now. */
const RETRY_AFTER_S = 5;

export interface HttpServices {
  readonly id: string;
  readonly blobs: BlobStore;
  readonly telemetry: Map<string, PeerTelemetry>;
  readonly log: PublicLog;
  readonly cosignatures: Cosignatures;
  readonly rates: RateLimits;
  /** @param address the address that the sender is counted under */
  submit(bytes: Uint8Array, address: string | null): Promise<{ id: string; receipt: Receipt }>;
  readonly statuses: Statuses;
  view(run: string): RunView | null;
  readonly samples: Pick<Samples, 'of'>;
  /** The course of a run. */
  history(run: string): RunHistory;
  readonly workers: Pick<WorkerHistories, 'of'>;
  readonly merged: Pick<MergedWork, 'of'>;
  account(id: string, address: string | null): AccountView;
  holder(run: string, account: string): HolderView | null;
  deviceWork(run: string, peer: string): DeviceWork | null;
  /** Gets errors of the hub itself, for its operator. */
  onError(error: unknown, where: string): void;
  counts(): { readonly events: number; readonly connections: number };
  condition(): Promise<Condition>;
  /** What this process of several lacks, whether or not it is better elsewhere; null for nothing. */
  lacks(): Lacked | null;
  readonly clock: Clock;
  readonly pool: Pick<Pool, 'serverFor' | 'served'>;
  /** Who serves, on the whole hub. */
  fleet(): Promise<Fleet>;
  readonly receipts: Pick<Receipts, 'partsOf' | 'prove'>;
  /** Fresh random bytes. */
  readonly randomBytes: (length: number) => Uint8Array;
  /** Whether a key takes part in a run or owns one. */
  isKnown(peer: string): boolean;
  /** Throws HubError `disk-full` where an upload of this size would not leave enough free space. */
  mustHaveRoom(size_bytes: number, whose: 'known' | 'stranger'): Promise<void>;
}

/** What routes need from a hub. */
export interface HttpAccess {
  readonly addressOf: AddressOf;
  readonly origins: Origins;
  /** Whether everybody may read /metrics, or only programs of this machine. */
  readonly metrics_public: boolean;
  /** Passes letters on between devices and their owners. */
  readonly letters: Letters;
  /** Who may ask the devices that serve; null: nobody, the hub has no /v1. */
  readonly api: ApiAccess | null;
  /** Where blobs go between devices and a bucket; missing: they go through the hub. */
  readonly direct?: DirectBlobs | null;
  /** The processes of this hub that are there; missing: it is one. */
  readonly fronts?: () => readonly Front[];
  /** Which registry names the devices of this hub; missing: nobody is told. */
  readonly registry?: RegistryServices;
}

/** @param page where the page is, for hubs that serve one */
export function httpApp(
  hub: HttpServices,
  unnamed: UnnamedBlobs,
  metrics: Metrics,
  access: HttpAccess,
  page: PageOptions | null = null,
): Hono {
  const app = new Hono();

  app.onError((error, c) => {
    const { status, code, message, details, trouble } = answerTo(error);
    c.set('thrown', code);
    if (trouble) hub.onError(error, `the answer to ${c.req.method} ${c.req.path}`);
    const wait_s = details.retry_after_s ?? (status === 503 || status === 507 ? RETRY_AFTER_S : null);
    return c.json(problem(code, message, details), status, wait_s === null ? {} : { 'retry-after': String(wait_s) });
  });
  app.notFound((c) => c.json(problem('not-found', `no such path: ${c.req.path}`), 404));

  countRefusals(app, metrics);
  checkOrigins(app, access.origins);
  serveMetrics(app, metrics, access.metrics_public);
  noteAskers(app, access.addressOf);
  openToReaders(app, access.origins.open);
  if (page) serveGameFrame(app);
  servePage(app, page, openTransfers(hub.clock, limitsFor(descriptorsHere().files).page));
  serveHealth(app, hub);
  serveFronts(app, access.fronts ?? (() => []));
  const pace = openPace();
  const counted: MiddlewareHandler = async (c, next) => {
    hub.rates.take('read_address', addressOfAsker(c));
    await pace();
    await next();
  };
  for (const path of ['/runs/*', '/accounts/*', '/log/*', '/registry', '/directory', '/directory/*'])
    app.get(path, counted);
  if (access.registry) serveRegistry(app, access.registry);
  const status = statusAnswer(hub.id, hub.statuses, hub.clock);
  app.get('/status', async (c) => {
    hub.rates.take('status_address', addressOfAsker(c));
    await pace();
    return status(c);
  });

  if (access.api) serveApi(app, access.api, hub);
  if (access.api || access.fronts) serveFleet(app, hub);
  serveRuns(app, hub);
  serveDirect(app, { ...hub, unnamed }, access.direct ?? null);
  serveBlobs(app, { ...hub, unnamed, metrics });
  serveLetters(app, access.letters, hub.rates, pace);

  app.post('/events', async (c) => {
    hub.rates.take('event_address', addressOfAsker(c));
    const announced = announcedBytes(c, WIRE_LIMITS.event_bytes);
    if (announced instanceof Response) return announced;
    await pace();
    const { id, receipt } = await hub.submit(new Uint8Array(await c.req.arrayBuffer()), addressOfAsker(c));
    return c.json({ event: id, receipt }, 201);
  });

  app.post('/log/cosignature', async (_, next) => {
    await pace();
    await next();
  });
  serveLog(app, hub.log, hub.id, hub.cosignatures, hub.rates, addressOfAsker);
  if (page) serveCards(app, { ...hub, statuses: hub.statuses.recent }, addressOfAsker);
  app.get('*', counted);
  serveViews(app, page, hub.statuses.recent);
  return app;
}

function serveHealth(app: Hono, hub: Pick<HttpServices, 'condition' | 'counts' | 'lacks'>): void {
  // Health: the hub works, or soon will. Ready: it can take clients now.
  app.get('/health', async (c) => {
    const { state, reason } = await hub.condition();
    const fine = state === 'ready' || state === 'opening' || state === 'closing';
    const answer = { ok: fine ? 'yes' : 'no', ...hub.counts(), ...(fine ? {} : { state, reason }) };
    return c.json(answer, fine ? 200 : 503, NO_STORE);
  });
  app.get('/ready', async (c) => {
    const { state, reason } = await hub.condition();
    const ready = state === 'ready';
    const lacks = hub.lacks();
    const answer = { ready, state, ...(ready ? {} : { reason }), ...(lacks === null ? {} : { lacks }) };
    return c.json(answer, ready ? 200 : 503, NO_STORE);
  });
}

/** Queries about one run, or one account. */
function serveRuns(
  app: Hono,
  hub: Pick<HttpServices, 'view' | 'samples' | 'workers' | 'merged' | 'holder' | 'deviceWork' | 'account'>,
): void {
  app.get('/runs/:run', (c) => {
    const view = hub.view(c.req.param('run'));
    return view ? c.json(view) : c.json(problem('no-such-run', `no run ${c.req.param('run')} on this hub`), 404);
  });

  // For people, and proven by nothing: the texts of models from validators, and what a worker said about its own losses.
  app.get('/runs/:run/samples', (c) => c.json({ samples: hub.samples.of(c.req.param('run')) }));
  app.get('/runs/:run/workers/:worker', (c) =>
    c.json({ rounds: hub.workers.of(c.req.param('run'), c.req.param('worker')) }),
  );

  // Whether the merge of a round took a work, proven against the merge in the log.
  app.get('/runs/:run/rounds/:round/works/:work', (c) => {
    const { run, round, work } = c.req.param();
    const proof = hub.merged.of(run, Number(round), work);
    if (proof) return c.json(proof);
    return c.json(problem('no-such-merge', `no merge of round ${round} of run ${run} is remembered on this hub`), 404);
  });

  app.get('/runs/:run/holders/:account', (c) => {
    const { run, account } = c.req.param();
    const view = hub.holder(run, account);
    return view ? c.json(view) : c.json(problem('no-such-run', `no run ${run} on this hub`), 404);
  });

  app.get('/runs/:run/peers/:peer', (c) => {
    const { run, peer } = c.req.param();
    const view = hub.deviceWork(run, peer);
    return view ? c.json(view) : c.json(problem('no-such-device', `no such device in a run ${run} on this hub`), 404);
  });

  app.get('/accounts/:account', (c) => c.json(hub.account(c.req.param('account'), addressOfAsker(c))));
}
