// The hub over HTTP: signed events, and what people and scripts ask for; blobs and the log have files of their own.
import { Hono } from 'hono';
import { CodedError } from '../errors.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { LedgerError, type LedgerErrorCode } from '../ledger/errors.ts';
import type { Receipt } from '../ledger/receipt.ts';
import { type AccountView, type RunStatus, type RunView, WIRE_LIMITS } from '../protocol/messages.ts';
import { addressOfAsker, announcedBytes, problem } from './answers.ts';
import { serveBlobs } from './blob-routes.ts';
import { HubError } from './errors.ts';
import { type PublicLog, serveLog } from './log-routes.ts';
import { type Metrics, serveMetrics } from './metrics.ts';
import { openToReaders, type PageOptions, servePage } from './page.ts';
import type { RateLimits } from './rate-limits.ts';
import type { Samples } from './samples.ts';
import type { UnnamedBlobs } from './unnamed-blobs.ts';
import type { PeerTelemetry } from './views.ts';
import type { WorkerHistories } from './worker-histories.ts';

/** What a store says when it cannot serve, whoever asks. */
const OWN_TROUBLE: readonly LedgerErrorCode[] = [
  'blob-corrupt',
  'log-corrupt',
  'store-unusable',
  'overloaded',
  'write-failed',
  'closed',
];

/** Whether a hub takes events; `log-failed` lasts until it is started again. */
export type Readiness = 'opening' | 'ready' | 'closing' | 'log-failed';

export interface HttpServices {
  readonly id: string;
  readonly blobs: BlobStore;
  readonly telemetry: Map<string, PeerTelemetry>;
  readonly log: PublicLog;
  readonly rates: RateLimits;
  submit(bytes: Uint8Array): Promise<{ id: string; receipt: Receipt }>;
  statuses(): RunStatus[];
  view(run: string): RunView | null;
  readonly samples: Pick<Samples, 'of'>;
  readonly workers: Pick<WorkerHistories, 'of'>;
  account(id: string): AccountView;
  health(): Record<string, string | number>;
  readiness(): Readiness;
}

/** @param page where the page is, for hubs that serve one */
export function httpApp(
  hub: HttpServices,
  unnamed: UnnamedBlobs,
  metrics: Metrics,
  page: PageOptions | null = null,
): Hono {
  const app = new Hono();

  app.onError((error, c) => {
    if (error instanceof HubError && error.code === 'too-fast') {
      const headers = { 'retry-after': String(error.details.retry_after_s) };
      return c.json(problem(error.code, error.message, error.details), 429, headers);
    }
    // A store that fails is this hub's own trouble: worth another try. Everything else was asked for wrongly.
    const status = error instanceof LedgerError && OWN_TROUBLE.includes(error.code) ? 500 : 400;
    if (error instanceof CodedError) return c.json(problem(error.code, error.message, error.details), status);
    return c.json(problem('hub-failed', 'the hub failed at this request'), 500);
  });
  app.notFound((c) => c.json(problem('not-found', `no such path: ${c.req.path}`), 404));

  serveMetrics(app, metrics);
  openToReaders(app);
  servePage(app, page, hub.statuses);
  app.get('/health', (c) => c.json(hub.health()));
  // Health: the process answers. Ready: it is worth sending somebody here.
  app.get('/ready', (c) => {
    const state = hub.readiness();
    return c.json({ ready: state === 'ready', state }, state === 'ready' ? 200 : 503, { 'cache-control': 'no-store' });
  });
  app.get('/status', (c) => c.json({ hub: hub.id, runs: hub.statuses() }));

  app.get('/runs/:run', (c) => {
    const view = hub.view(c.req.param('run'));
    return view ? c.json(view) : c.json(problem('no-such-run', `no run ${c.req.param('run')} on this hub`), 404);
  });

  // For people who look, and proven by nothing: what validators let the models write, and what a worker said of its own losses.
  app.get('/runs/:run/samples', (c) => c.json({ samples: hub.samples.of(c.req.param('run')) }));
  app.get('/runs/:run/workers/:worker', (c) =>
    c.json({ rounds: hub.workers.of(c.req.param('run'), c.req.param('worker')) }),
  );

  app.get('/accounts/:account', (c) => c.json(hub.account(c.req.param('account'))));

  serveBlobs(app, { ...hub, unnamed, metrics });

  app.post('/events', async (c) => {
    hub.rates.take('event_address', addressOfAsker(c));
    const announced = announcedBytes(c, WIRE_LIMITS.event_bytes);
    if (announced instanceof Response) return announced;
    const { id, receipt } = await hub.submit(new Uint8Array(await c.req.arrayBuffer()));
    return c.json({ event: id, receipt }, 201);
  });

  serveLog(app, hub.log, hub.id, hub.rates, addressOfAsker);
  return app;
}
