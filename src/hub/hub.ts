// A hub: one folder, one port. Puts the sequencer, the rounds, the sockets and the blobs together.
import { mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { WebSocketServer } from 'ws';
import type { LoggedEvent } from '../core/events.ts';
import type { RunState } from '../core/state.ts';
import { openFolderBlobStore } from '../ledger/folder-blob-store.ts';
import type { LogStore } from '../ledger/log-store.ts';
import { openSqliteLogStore } from '../ledger/sqlite-log-store.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { Identity } from '../protocol/identity.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { admit, blobsNamedBy } from './admission.ts';
import { CONNECTION_LIMITS, type ConnectionLimits, openConnections } from './connections.ts';
import { HubError } from './errors.ts';
import { httpApp, unnamedBlobs } from './http.ts';
import { openModels } from './models.ts';
import { PeerSocket } from './peer-socket.ts';
import { driveRounds } from './rounds.ts';
import { openSequencer } from './sequencer.ts';
import { type PeerTelemetry, runStatuses, runView } from './views.ts';

export interface HubOptions {
  /** The hub's folder: its key, its log, its blobs. Made when it is not there. */
  readonly folder: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Called with every event after it is durable, for logs. */
  readonly onEvent?: (event: LoggedEvent, index: number) => void;
  readonly onError?: (error: unknown, where: string) => void;
  /** What differs from CONNECTION_LIMITS. */
  readonly limits?: Partial<ConnectionLimits>;
}

export interface Hub {
  readonly id: string;
  readonly url: string;
  /** Stops taking anything, writes what was accepted, frees the port and the folder. */
  close(): Promise<void>;
}

/** Opens the folder, replays its log and listens. Throws LedgerError (folder in use, damaged), HubError (port-taken, bad-folder). */
export async function openHub(options: HubOptions): Promise<Hub> {
  const { folder } = options;
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new HubError('bad-folder', `cannot use ${folder}: ${(error as Error).message}`, { folder });
  }
  const identity = await loadOrCreateIdentity(join(folder, 'hub.key'));
  const store = openSqliteLogStore(join(folder, 'hub.sqlite'));
  try {
    return await startHub(options, identity, store);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The hub on an open log, which it closes when it is closed itself. */
async function startHub(options: HubOptions, identity: Identity, store: LogStore): Promise<Hub> {
  const { folder, host, port } = options;
  const limits = { ...CONNECTION_LIMITS, ...options.limits };
  const log = openTransparencyLog(store, identity);
  const blobs = await openFolderBlobStore(join(folder, 'blobs'));
  const now = () => Date.now();
  const onError = options.onError ?? (() => {});
  const sequencer = openSequencer(log, identity);
  const models = openModels(blobs);
  const telemetry = new Map<string, PeerTelemetry>();
  const unnamed = unnamedBlobs();
  const denseSizes = new Map<string, number>();

  const denseBytes = (run: RunState): number => run.submissions_total * (denseSizes.get(run.id) ?? 0);
  const learnSizes = async (run: RunState): Promise<void> => {
    const { game, params } = await models.game(run.spec);
    denseSizes.set(run.id, game.sizes(params).dense_bytes);
  };
  for (const run of sequencer.state.runs.values()) await learnSizes(run);

  const services = {
    id: identity.id,
    state: sequencer.state,
    now,
    blobs,
    log,
    telemetry,
    submit: async (bytes: Uint8Array) => {
      try {
        const { body } = await admit(bytes, sequencer.state, blobs, models);
        const { event, index } = await sequencer.submit(bytes);
        for (const hash of blobsNamedBy(body)) unnamed.named(hash);
        return { id: event.id, index, receipt: await log.receipt(index) };
      } catch (error) {
        // Whoever lost the connection before the answer came asks again: the event stands once, the answer is the same.
        const id = sha256Hex(bytes);
        const index = sequencer.indexOf(id);
        if (!(error instanceof HubError && error.code === 'refused') || index === undefined) throw error;
        return { id, index, receipt: await log.receipt(index) };
      }
    },
    write: (body: LoggedEvent['body']) => sequencer.write(body),
    statuses: () => runStatuses(sequencer.state, now(), telemetry, denseBytes),
    view: (id: string) => {
      const run = sequencer.state.runs.get(id);
      return run ? runView(run, now(), true) : null;
    },
    health: () => ({ ok: 'yes', events: sequencer.state.events, connections: connections.count() }),
    onError,
  };
  const connections = openConnections(services, limits);

  // A peer hears of a run when what it should do may have changed; a validator of every submission too.
  const lastSeen = new Map<string, string>();
  sequencer.onEvent((event, index) => {
    options.onEvent?.(event, index);
    if (event.body.type === 'run.created') {
      learnSizes(sequencer.state.runs.get(event.id)!).catch((error) => onError(error, 'run.created'));
    }
    for (const run of sequencer.state.runs.values()) {
      const stage = `${run.phase} ${run.round} ${run.attempt} ${run.model}`;
      const phaseChanged = lastSeen.get(run.id) !== stage;
      lastSeen.set(run.id, stage);
      const concerned = 'run' in event.body && event.body.run === run.id;
      if (phaseChanged || concerned) connections.runChanged(run, phaseChanged);
    }
  });

  const app = httpApp(services, unnamed);
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: WIRE_LIMITS.message_bytes,
    WebSocket: PeerSocket,
  });
  server.on('upgrade', (request, socket, head) => {
    const full = connections.count() >= limits.connections;
    if (full || request.url?.split('?')[0] !== '/ws') {
      socket.on('error', () => {}); // whoever asked may be gone already
      socket.end(`HTTP/1.1 ${full ? '503 Service Unavailable' : '404 Not Found'}\r\nconnection: close\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => connections.accept(webSocket));
  });
  try {
    await listen(server, host, port);
  } catch (error) {
    connections.close();
    throw error;
  }
  const rounds = driveRounds(sequencer, models, {
    now,
    onError: (error, run) => onError(error, `round ${run.round} of run ${run.id}`),
  });
  connections.forgetAbsent();

  const address = server.address() as AddressInfo;
  const shownHost = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await rounds.close();
    connections.close();
    await sequencer.close();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
    sockets.close();
    await store.close();
  };
  return {
    id: identity.id,
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
    server.listen(port, host, () => resolve());
  });
}
