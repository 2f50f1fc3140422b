// A hub: one folder, one port. Gives a meeting place its disk, its sockets and HTTP.
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { WebSocketServer } from 'ws';
import type { LoggedEvent } from '../core/events.ts';
import { RULES_VERSION } from '../core/reduce.ts';
import type { LoadGame } from '../games/registry.ts';
import { openFolderBlobStore } from '../ledger/folder-blob-store.ts';
import type { LogStore } from '../ledger/log-store.ts';
import { openSqliteLogStore } from '../ledger/sqlite-log-store.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { webSocketChannel } from '../protocol/channel.ts';
import { systemClock } from '../protocol/clock.ts';
import type { DrawingIdentity } from '../protocol/identity.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { PRIVATE_FOLDER } from '../protocol/private-files.ts';
import { keepAsking, type WitnessAddress } from './ask-witness.ts';
import { openAskers } from './askers.ts';
import { type ConditionChange, type DiskSpace, diskSpaceOf } from './condition.ts';
import { CONNECTION_LIMITS, type ConnectionLimits } from './connection.ts';
import { descriptorsHere } from './descriptors.ts';
import { HubError } from './errors.ts';
import { httpApp } from './http.ts';
import { logKey } from './log-routes.ts';
import { openMeetingPlace } from './meeting-place.ts';
import { type Metrics, openMetrics } from './metrics.ts';
import { openOrigins } from './origins.ts';
import type { PageOptions } from './page.ts';
import { PeerSocket } from './peer-socket.ts';
import type { Rates } from './rate-limits.ts';
import { openRunPolicy, type WhoCreatesRuns } from './run-policy.ts';
import { openSnapshots } from './snapshots.ts';
import { serverOf } from './sockets.ts';

/** Of the sockets that a hub may have, those that may be peers'. */
const CONNECTED_SHARE = 0.8;
/** Connections that wait to be taken. Where a thousand come at once and there is no room, whoever comes among them tries again only seconds later. */
const BACKLOG = 4096;

export interface HubOptions {
  /** The hub's folder: its key, its log, its blobs. Made when it is not there. */
  readonly folder: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The page to be served; without it only what programs need is. */
  readonly page?: Pick<PageOptions, 'folder'>;
  /** How the world sees this hub. One that listens on this machine alone and has not been told serves no page of others. */
  readonly public_url?: string | null;
  /** Who may create runs; if nothing is said: anybody on a hub for its own machine, elsewhere strangers within STRANGERS_RUNS. */
  readonly runs?: WhoCreatesRuns;
  /** The accounts that may create runs whatever strangers have. */
  readonly owners?: readonly string[];
  /** See AskerOptions. */
  readonly proxies?: readonly string[];
  /** Whether everybody may read /metrics; else only programs of this machine. */
  readonly metrics_public?: boolean;
  /** Called with every event after it is durable, for logs. */
  readonly onEvent?: (event: LoggedEvent, index: number) => void;
  readonly onError?: (error: unknown, where: string) => void;
  /** Called when the hub's disk fills up, has room again, or its log cannot be written: such a hub is to be closed. */
  readonly onCondition?: (change: ConditionChange, error: unknown) => void;
  /** How much room the disk has; that of the folder's disk, if nothing is said. */
  readonly space?: () => Promise<DiskSpace>;
  /** What stays free of uploads, for the log and for merges. */
  readonly floor_bytes?: number;
  /** Strangers' witnesses that are shown every new head of the log. */
  readonly witnesses?: readonly WitnessAddress[];
  /** What differs from CONNECTION_LIMITS. */
  readonly limits?: Partial<ConnectionLimits>;
  /** What differs from RATES. */
  readonly rates?: Partial<Rates>;
  /** Finds games; those of this build, if nothing is said. */
  readonly loadGame?: LoadGame;
  /** For tests: snapshots of the state more often than usual. */
  readonly snapshot_every_events?: number;
}

export interface Hub {
  readonly id: string;
  /** The key of its log, as witnesses and monitors configure it. */
  readonly verifier_key: string;
  readonly url: string;
  /** Stops taking anything, writes what was accepted, frees the port and the folder. */
  close(): Promise<void>;
}

/** Opens the folder, replays its log and listens. Throws LedgerError (folder in use, damaged), HubError (port-taken, bad-folder). */
export async function openHub(options: HubOptions): Promise<Hub> {
  const { folder } = options;
  try {
    mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER });
  } catch (error) {
    throw new HubError('bad-folder', `cannot use ${folder}: ${(error as Error).message}`, { folder });
  }
  const identity = await loadOrCreateIdentity(join(folder, 'hub.key'));
  const metrics = openMetrics();
  const store = metrics.timed(openSqliteLogStore(join(folder, 'hub.sqlite')));
  try {
    return await startHub(options, identity, store, metrics);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The hub on an open log, which it closes when it is closed itself. */
async function startHub(
  options: HubOptions,
  identity: DrawingIdentity,
  store: LogStore,
  metrics: Metrics,
): Promise<Hub> {
  const { folder, host, port, public_url = null } = options;
  const addressOf = openAskers({ proxies: options.proxies, proxied: public_url !== null });
  const origins = openOrigins({ host, public_url });
  const descriptors = descriptorsHere();
  const limits = { ...CONNECTION_LIMITS, ...options.limits };
  // However many peers connect, others can still ask.
  const most_connections = Math.min(limits.connections, Math.ceil(descriptors.sockets * CONNECTED_SHARE));
  const log = openTransparencyLog(store, identity);
  const every_events = options.snapshot_every_events;
  const onProblem = (error: HubError): void => options.onError?.(error, 'a snapshot of the state');
  const blobs = await openFolderBlobStore(join(folder, 'blobs'));
  const place = await openMeetingPlace({
    identity,
    log,
    snapshots: (beside) =>
      openSnapshots({ store, log, identity, beside, rules: RULES_VERSION, every_events, onProblem }),
    blobs,
    clock: { ...systemClock, uptime_ms: () => uptime() * 1000 },
    randomBytes,
    limits,
    rates: options.rates,
    runs: openRunPolicy(options.runs ?? (origins.open ? 'limited' : 'anybody'), new Set(options.owners)),
    loadGame: options.loadGame,
    onEvent: options.onEvent,
    onError: options.onError,
    onCondition: options.onCondition,
    space: options.space ?? (() => diskSpaceOf(folder)),
    floor_bytes: options.floor_bytes,
    onRefused: metrics.refused,
  });
  const { connections } = place;
  const { state } = place.sequencer;
  metrics.watch({ state, blobs, now_ms: systemClock.elapsed_ms, roles: connections.roles });
  const app = httpApp(
    place.services,
    place.unnamed,
    metrics,
    { addressOf, origins, metrics_public: options.metrics_public ?? false },
    options.page ? { ...options.page, public_url } : null,
  );
  const server = serverOf(app, limits.silence_ms, descriptors.sockets);
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: WIRE_LIMITS.from_peer_bytes,
    // One message of each connection, then whatever else there is: who sends thousands at once does not stand before everybody.
    allowSynchronousEvents: false,
    WebSocket: PeerSocket,
  });
  /** The answer to somebody who gets no WebSocket: a status line, maybe a header. */
  const whyNot = (request: IncomingMessage, address: string | null): string | null => {
    if (request.url?.split('?')[0] !== '/ws') return '404 Not Found';
    if (connections.count() >= most_connections) return '503 Service Unavailable';
    try {
      origins.check(request.headers);
      place.services.rates.take('connection_address', address);
      return null;
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      metrics.refused(error.code);
      if (!error.is('too-fast')) return '403 Forbidden';
      return `429 Too Many Requests\r\nretry-after: ${error.details.retry_after_s}`;
    }
  };
  server.on('upgrade', (request, socket, head) => {
    const address = addressOf(request);
    const refusal = whyNot(request, address);
    if (refusal) {
      socket.on('error', () => {}); // whoever asked may be gone already
      socket.end(`HTTP/1.1 ${refusal}\r\nconnection: close\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      connections.accept(webSocketChannel(webSocket), address);
    });
  });
  try {
    await listen(server, host, port);
  } catch (error) {
    await place.close();
    throw error;
  }
  place.begin();
  const onAskError = (error: unknown, where: string): void => options.onError?.(error, where);
  const { cosignatures } = place.services;
  const asked = (options.witnesses ?? []).map((witness) =>
    keepAsking(witness, { log, cosignatures, clock: systemClock, onError: onAskError }),
  );

  const address = server.address() as AddressInfo;
  const shownHost = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    for (const asking of asked) asking.close();
    try {
      await place.close();
    } finally {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      sockets.close();
      await store.close();
    }
  };
  return {
    id: identity.id,
    verifier_key: logKey(identity.id),
    url: `http://${shownHost}:${address.port}`,
    close: () => (closing ??= close()),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') {
        reject(new HubError('port-taken', `port ${port} on ${host} is taken; choose another with --port`, { port }));
      } else reject(new HubError('bad-folder', `cannot listen on ${host}:${port}: ${error.message}`));
    });
    server.listen({ port, host, backlog: BACKLOG }, () => resolve());
  });
}
