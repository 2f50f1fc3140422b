// A hub with one folder and one port: gives the hub's core its disk, its sockets and HTTP.
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { uptime } from 'node:os';
import { join } from 'node:path';
import type { LoggedEvent } from '../core/events.ts';
import { RULES_VERSION } from '../core/reduce.ts';
import type { LoadGame } from '../games/registry.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { openFolderBlobStore } from '../ledger/folder-blob-store.ts';
import type { LogStore } from '../ledger/log-store.ts';
import { openSqliteLogStore } from '../ledger/sqlite-log-store.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { systemClock } from '../protocol/clock.ts';
import type { DrawingIdentity } from '../protocol/identity.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { makePrivateFolder } from '../protocol/private-files.ts';
import { keepAsking, type WitnessAddress } from './ask-witness.ts';
import { openAskers } from './askers.ts';
import { type ConditionChange, type DiskSpace, diskSpaceOf } from './condition.ts';
import { CONNECTION_LIMITS, type ConnectionLimits } from './connection.ts';
import { CONNECTED_SHARE, descriptorsHere } from './descriptors.ts';
import { HubError } from './errors.ts';
import { type HttpAccess, httpApp } from './http.ts';
import { type HubCore, type HubCoreOptions, openHubCore } from './hub-core.ts';
import { type LettersOptions, openLetters } from './letters.ts';
import { logKey } from './log-routes.ts';
import { type Metrics, openMetrics } from './metrics.ts';
import { openOrigins } from './origins.ts';
import type { PageOptions } from './page.ts';
import type { Rates } from './rate-limits.ts';
import { openRunPolicy, type WhoCreatesRuns } from './run-policy.ts';
import type { ApiAccess } from './serving/api-routes.ts';
import type { Pool } from './serving/pool.ts';
import { openSnapshots } from './snapshots.ts';
import { listen, serverOf, stopListening } from './sockets.ts';
import { openStateHost } from './state-host.ts';
import { takeUpgrades } from './upgrades.ts';

export interface HubOptions {
  /** The hub's folder: its key, its log, its blobs. It is made if it does not exist. */
  readonly folder: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The page to serve; without it the hub serves programs only. */
  readonly page?: Pick<PageOptions, 'folder'>;
  /** The hub's public URL. A hub that listens on this machine only, and has none, answers no pages of other origins. */
  readonly public_url?: string | null;
  /** Who may create runs. By default: anybody on a hub for its own machine; otherwise strangers within STRANGERS_RUNS. */
  readonly runs?: WhoCreatesRuns;
  /** The accounts that may create runs regardless of strangers. */
  readonly owners?: readonly string[];
  /** See AskerOptions. */
  readonly proxies?: readonly string[];
  /** Whether everybody may read /metrics; otherwise only programs of this machine. */
  readonly metrics_public?: boolean;
  /** Who may ask the devices that serve, at /v1. By default everybody on a hub for its own machine, nobody on any other. */
  readonly api?: ApiAccess;
  /** How often receipts of answers are settled, and what others than the device get of what answers cost; see HubCoreOptions. */
  readonly settle_ms?: number;
  readonly split?: HubCoreOptions['split'];
  /** Called with every event after it is durable, for logging. */
  readonly onEvent?: (event: LoggedEvent, index: number) => void;
  readonly onError?: (error: unknown, where: string) => void;
  /** Called when the hub's disk becomes full, has space again, or its log cannot be written; such a hub must be closed. */
  readonly onCondition?: (change: ConditionChange, error: unknown) => void;
  /** The free space of the disk; by default that of the folder's disk. */
  readonly space?: () => Promise<DiskSpace>;
  /** The space that uploads leave free for the log and for merges. */
  readonly floor_bytes?: number;
  /** External witnesses that are sent every new head of the log. */
  readonly witnesses?: readonly WitnessAddress[];
  /** Overrides of CONNECTION_LIMITS. */
  readonly limits?: Partial<ConnectionLimits>;
  /** Overrides of LETTER_STORE_LIMITS. */
  readonly letters?: LettersOptions['limits'];
  /** Overrides of RATES. */
  readonly rates?: Partial<Rates>;
  /** Finds games; by default the built-in ones. */
  readonly loadGame?: LoadGame;
  /** For tests: snapshots of the state more often than usual. */
  readonly snapshot_every_events?: number;
}

export interface Hub {
  readonly id: string;
  /** The verifier key of its log, as witnesses and monitors configure it. */
  readonly verifier_key: string;
  readonly url: string;
  /** The devices that serve here, as callers may use them. */
  readonly pool: Pick<Pool, 'serverFor' | 'fleet' | 'served'>;
  /** Stops taking anything, writes everything accepted, and releases port and folder. */
  close(): Promise<void>;
}

/** Opens the folder, replays its log and listens. Throws LedgerError (folder in use, damaged), HubError (`port-taken`, `bad-folder`). */
export async function openHub(options: HubOptions): Promise<Hub> {
  const { folder } = options;
  try {
    makePrivateFolder(folder);
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

async function openEmpty(folder: string): Promise<BlobStore> {
  await rm(folder, { recursive: true, force: true });
  return openFolderBlobStore(folder);
}

/** Who may ask the devices that serve; null: nobody. */
const apiOf = ({ api }: HubOptions, { open }: HttpAccess['origins']): ApiAccess | null =>
  api ?? (open ? null : { keys: null, owners: null });

/** What the hub answers over HTTP. */
function frontOf(
  options: HubOptions,
  { services, unnamed, sequencer }: HubCore,
  metrics: Metrics,
  who: Pick<HttpAccess, 'addressOf' | 'origins'>,
) {
  const { folder, page, public_url = null, metrics_public = false } = options;
  const { id: hub, rates } = services;
  const { state } = sequencer;
  const path = join(folder, 'letters.sqlite');
  const letters = openLetters({ path, hub, state, clock: systemClock, rates, limits: options.letters });
  const api = apiOf(options, who.origins);
  const access = { ...who, metrics_public, letters, api };
  const app = httpApp(services, unnamed, metrics, access, page ? { ...page, public_url } : null);
  return { app, letters };
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
  const log = openTransparencyLog(store, identity);
  const every_events = options.snapshot_every_events;
  const onProblem = (error: HubError): void => options.onError?.(error, 'a snapshot of the state');
  const folders = { named: join(folder, 'blobs'), present: join(folder, 'present') };
  const blobs = await openFolderBlobStore(folders.named);
  const present = await openEmpty(folders.present);
  const states = openStateHost(folders);
  const hubCore = await openHubCore({
    identity,
    log,
    snapshots: (beside) =>
      openSnapshots({ store, log, identity, beside, rules: RULES_VERSION, every_events, onProblem }),
    blobs,
    present,
    states,
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
    poolCounts: metrics.pool,
    relayCounts: metrics.relay,
    receipts: join(folder, 'receipts.sqlite'),
    ...{ settle_ms: options.settle_ms, split: options.split, charges: Boolean(apiOf(options, origins)?.keys) },
  });
  const { connections } = hubCore;
  const { state } = hubCore.sequencer;
  metrics.watch({ state, blobs, now_ms: systemClock.elapsed_ms, roles: connections.roles });
  const { rates } = hubCore.services;
  const { app, letters } = frontOf(options, hubCore, metrics, { addressOf, origins });
  const server = serverOf(app, limits.silence_ms, descriptors.sockets);
  const upgrades = takeUpgrades(server, {
    most_connections: Math.min(limits.connections, Math.ceil(descriptors.sockets * CONNECTED_SHARE)),
    ...{ addressOf, origins, rates, onRefused: metrics.refused, count: connections.count, accept: connections.accept },
  });
  let url: string;
  try {
    url = await listen(server, host, port);
  } catch (error) {
    letters.close();
    await hubCore.close();
    throw error;
  }
  hubCore.begin();
  const onAskError = (error: unknown, where: string): void => options.onError?.(error, where);
  const { cosignatures } = hubCore.services;
  const asked = (options.witnesses ?? []).map((witness) =>
    keepAsking(witness, { log, cosignatures, clock: systemClock, onError: onAskError }),
  );

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    for (const asking of asked) asking.close();
    try {
      await hubCore.close();
    } finally {
      states.close();
      await stopListening(server);
      upgrades.close();
      letters.close();
      await store.close();
    }
  };
  return {
    id: identity.id,
    verifier_key: logKey(identity.id),
    url,
    pool: hubCore.pool,
    close: () => (closing ??= close()),
  };
}
