// A hub with one folder and one port: gives the hub's core its disk, its sockets and HTTP.
import { join } from 'node:path';
import type { LoggedEvent } from '../core/events.ts';
import { RULES_VERSION } from '../core/reduce.ts';
import type { LoadGame } from '../games/registry.ts';
import type { LogStore } from '../ledger/log-store.ts';
import { s3Files } from '../ledger/s3/objects.ts';
import { openTransparencyLog, type TransparencyLog } from '../ledger/transparency-log.ts';
import { systemClock } from '../protocol/clock.ts';
import type { DrawingIdentity } from '../protocol/identity.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { makePrivateFolder } from '../protocol/private-files.ts';
import { keepAsking, type WitnessAddress } from './ask-witness.ts';
import { openAskers } from './askers.ts';
import { type ClusterPlace, type Joined, joinCluster } from './cluster/join.ts';
import type { Role } from './cluster/member.ts';
import { NO_POST } from './cluster/post.ts';
import { withoutKey } from './cluster/without-key.ts';
import { type ConditionChange, type DiskSpace, diskSpaceOf } from './condition.ts';
import { CONNECTION_LIMITS, type ConnectionLimits } from './connection.ts';
import { CONNECTED_SHARE, descriptorsHere } from './descriptors.ts';
import { HubError } from './errors.ts';
import { type HttpAccess, httpApp } from './http.ts';
import { type HubCore, type HubCoreOptions, openHubCore } from './hub-core.ts';
import { type LettersOptions, openLetters } from './letters.ts';
import { logKey } from './log-routes.ts';
import { machineClock } from './machine-clock.ts';
import { type Metrics, openMetrics } from './metrics.ts';
import { BUCKET_PACE_MS, keepMirrored, type Mirror } from './mirror.ts';
import { openFolderMirror } from './mirror-folder.ts';
import type { S3Place } from './named-place.ts';
import { openNonces } from './nonces.ts';
import { openOrigins } from './origins.ts';
import type { PageOptions } from './page.ts';
import type { Rates } from './rate-limits.ts';
import { askLeader, followRegistry, type RegistryFollower } from './registry/follow.ts';
import { openListedRuns } from './registry/listed.ts';
import type { RegistryServices } from './registry/routes.ts';
import { openRunPolicy, type WhoCreatesRuns } from './run-policy.ts';
import type { ApiAccess } from './serving/api-routes.ts';
import type { Pool } from './serving/pool.ts';
import { stateBytesBeside } from './snapshot-bytes.ts';
import { openSnapshots } from './snapshots.ts';
import { listen, serverOf, stopListening } from './sockets.ts';
import { type HubLog, openHubLog, openHubStores } from './stores.ts';
import { takeUpgrades } from './upgrades.ts';

export interface HubOptions {
  /** The hub's folder: its key, its log, its blobs. It is made if it does not exist. */
  readonly folder: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The bucket that has the log and the blobs; the folder is then a copy, which may be empty. Without it the folder has everything. */
  readonly s3?: S3Place;
  /** With `s3`: where everybody may read the bucket's objects, such as a CDN, without the last slash. By default devices get presigned addresses. */
  readonly cdn?: string;
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
  /** A folder in which the log and the blobs that it names are published as static files. */
  readonly mirror_folder?: string;
  /** Where the hub is whose log names the devices of this one. */
  readonly registry?: string;
  /** For a hub of several processes, which takes a bucket: how this one takes part. */
  readonly cluster?: ClusterPlace;
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

/** The roles that need the hub's key. */
const KEYED: readonly Role[] = ['sequencer', 'gateway'];

export interface Hub {
  readonly id: string;
  /** The verifier key of its log, as witnesses and monitors configure it. */
  readonly verifier_key: string;
  readonly url: string;
  /** What was found about the bucket, a line each; none without one. */
  readonly bucket: readonly string[];
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
  const metrics = openMetrics();
  const own = hasKey(options.cluster) ? await loadOrCreateIdentity(join(folder, 'hub.key')) : null;
  const place = { folder, s3: options.s3 ?? null };
  const kept = await openHubLog(place, { own: own?.id ?? null, alone: !options.cluster });
  let joined: Joined | null = null;
  try {
    const identity = own ?? withoutKey(kept.hub!);
    const listening: Listening = { url: null };
    joined = await memberOf(options, identity, kept, listening);
    if (!joined) kept.followed?.lead();
    const opened = { ...kept, store: metrics.timed(kept.store), identity, joined, listening };
    return await startHub(options, opened, metrics);
  } catch (error) {
    await joined?.close();
    await kept.store.close();
    throw error;
  }
}

/** Where a hub listens, once it does. */
interface Listening {
  url: string | null;
}

/** What a hub is opened on. */
interface Opened extends HubLog {
  readonly identity: DrawingIdentity;
  readonly joined: Joined | null;
  readonly listening: Listening;
}

/** Whether this process has the hub's key. */
const hasKey = (cluster: ClusterPlace | undefined): boolean =>
  !cluster || KEYED.some((role) => cluster.roles.has(role));

/** What a process of a hub of several needs of it; null for a hub that is one process. */
async function memberOf(
  { cluster: place, public_url, onCondition, onError = () => {} }: HubOptions,
  { id: hub }: DrawingIdentity,
  { followed: store }: HubLog,
  listening: Listening,
): Promise<Joined | null> {
  if (!place) return null;
  if (!store)
    throw new HubError('no-bus', 'a hub of several processes keeps its log in a bucket: expected --s3, got none');
  return joinCluster({
    ...{ place, hub, store, onError },
    url: () => (place.roles.has('front') ? (public_url ?? listening.url) : null),
    onBroken: (error) => {
      const reason = 'this process does not have the log that the others have, and ends';
      onCondition?.({ state: 'log-failed', reason }, error);
    },
  });
}

/** Who may ask the devices that serve; null: nobody. */
const apiOf = ({ api, cluster }: HubOptions, { open }: HttpAccess['origins']): ApiAccess | null =>
  cluster?.roles.has('gateway') === false ? null : (api ?? (open ? null : { keys: null, owners: null }));

/** Whether devices and people connect to this process. */
const takesDevices = ({ cluster }: HubOptions): boolean => cluster?.roles.has('front') ?? true;

const mostConnections = (options: HubOptions, connections: number, sockets: number): number =>
  takesDevices(options) ? Math.min(connections, Math.ceil(sockets * CONNECTED_SHARE)) : 0;

/** What the hub answers over HTTP. */
function frontOf(
  options: HubOptions,
  bucket: HubLog['bucket'],
  { services, unnamed, sequencer }: HubCore,
  metrics: Metrics,
  { post, ...who }: Pick<HttpAccess, 'addressOf' | 'origins' | 'fronts'> & Pick<LettersOptions, 'post'>,
) {
  const { folder, page, public_url = null, metrics_public = false } = options;
  const { id: hub, rates } = services;
  const { state } = sequencer;
  const path = join(folder, 'letters.sqlite');
  const letters = openLetters({ path, hub, state, clock: systemClock, rates, limits: options.letters, post });
  const api = apiOf(options, who.origins);
  const direct = bucket && { s3: bucket.s3, uploads: bucket.check.checks_hash, cdn: options.cdn ?? null };
  const access = { ...who, metrics_public, letters, api, direct };
  const blobs_at = direct ? [direct.s3.where, ...(direct.cdn ? [direct.cdn] : [])].map((at) => new URL(at).origin) : [];
  const app = httpApp(
    services,
    unnamed,
    metrics,
    access,
    page && takesDevices(options) ? { ...page, public_url, blobs_at } : null,
  );
  return { app, letters };
}

/** Publishes the log for readers that ask no hub: in its bucket, where its blobs are, and in a folder. Throws HubError `bad-folder`. */
async function mirrorsOf(
  { folder, mirror_folder }: HubOptions,
  log: TransparencyLog,
  { services, sequencer }: Pick<HubCore, 'services' | 'sequencer'>,
  bucket: HubLog['bucket'],
): Promise<Mirror[]> {
  const { id: hub, blobs, cosignatures, clock, onError } = services;
  const options = { hub, log, cosignatures, clock, onError, leads: () => sequencer.leads };
  const mirrors = bucket ? [keepMirrored({ ...options, files: s3Files(bucket.s3), pace_ms: BUCKET_PACE_MS })] : [];
  if (mirror_folder === undefined) return mirrors;
  try {
    return [...mirrors, await openFolderMirror(mirror_folder, { ...options, hub_folder: folder, blobs })];
  } catch (error) {
    for (const mirror of mirrors) await mirror.close();
    throw error;
  }
}

/** Asks every witness that the hub was told of, from now on. */
function askWitnesses(
  { witnesses = [], onError = () => {} }: HubOptions,
  log: TransparencyLog,
  { cosignatures }: HubCore['services'],
): { close(): void }[] {
  return witnesses.map((witness) => keepAsking(witness, { log, cosignatures, clock: systemClock, onError }));
}

/** How snapshots of the state are kept beside the log. A process without the hub's key signs its own with a key of its own. */
async function snapshotsOf(
  { folder, cluster, snapshot_every_events: every_events, onError }: HubOptions,
  hubIdentity: DrawingIdentity,
  store: LogStore,
  log: TransparencyLog,
): Promise<HubCoreOptions['snapshots']> {
  const identity = hasKey(cluster) ? hubIdentity : await loadOrCreateIdentity(join(folder, 'process.key'));
  const onProblem = (error: HubError): void => onError?.(error, 'a snapshot of the state');
  return (beside) =>
    openSnapshots({
      ...{ store, log, identity, hub: hubIdentity.id, beside, rules: RULES_VERSION, every_events, onProblem },
      bytesOf: stateBytesBeside,
    });
}

/** What this hub says of its registry, and takes in from it once it is ready. */
function registryOf(
  { folder, registry: url }: HubOptions,
  { sequencer, services }: Pick<HubCore, 'sequencer' | 'services'>,
  log: TransparencyLog,
  post = NO_POST,
): RegistryServices & { follow(): void; close(): Promise<void> } {
  const { state } = sequencer;
  let follower: RegistryFollower | null = null;
  return {
    ...{ id: state.hub, state, listed: openListedRuns(log, sequencer), log, cosignatures: services.cosignatures },
    want: async (device) => follower?.want(device) ?? askLeader({ state, post }, device),
    follow() {
      if (url !== undefined) follower = followRegistry({ url, folder, sequencer, post, ...services });
    },
    close: async () => follower?.close(),
  };
}

/** The hub on an open log, which it closes when it is closed itself. */
async function startHub(options: HubOptions, opened: Opened, metrics: Metrics): Promise<Hub> {
  const { folder, host, port, public_url = null } = options;
  const { store, identity, joined, listening } = opened;
  const addressOf = openAskers({ proxies: options.proxies, proxied: public_url !== null });
  const origins = openOrigins({ host, public_url });
  const descriptors = descriptorsHere();
  const limits = { ...CONNECTION_LIMITS, ...options.limits };
  const log = openTransparencyLog(store, identity);
  const stores = await openHubStores({ folder, s3: options.s3 ?? null }, opened);
  const { blobs, present, states } = stores;
  const hubCore = await openHubCore({
    identity,
    log,
    member: joined?.member,
    snapshots: await snapshotsOf(options, identity, store, log),
    ...{ blobs, present, states },
    clock: machineClock(),
    randomBytes: openNonces(),
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
    ...{ relayCounts: metrics.relay, onCarried: (size_bytes: number) => metrics.carried('up', size_bytes) },
    receipts: join(folder, 'receipts.sqlite'),
    ...{ settle_ms: options.settle_ms, split: options.split, charges: Boolean(apiOf(options, origins)?.keys) },
  });
  const { connections, services } = hubCore;
  const { rates } = services;
  metrics.watch({
    ...{ state: hubCore.sequencer.state, leads: () => hubCore.sequencer.leads, blobs, now_ms: systemClock.elapsed_ms },
    roles: connections.roles,
  });
  const registry = registryOf(options, hubCore, log, joined?.member.post);
  const who = { addressOf, origins, fronts: joined?.member.presence.fronts, post: joined?.member.post, registry };
  const { app, letters } = frontOf(options, opened.bucket, hubCore, metrics, who);
  const server = serverOf(app, limits.silence_ms, descriptors.sockets);
  const upgrades = takeUpgrades(server, {
    most_connections: mostConnections(options, limits.connections, descriptors.sockets),
    ...{ addressOf, origins, rates, onRefused: metrics.refused, count: connections.count, accept: connections.accept },
  });
  let mirrors: Mirror[] = [];
  try {
    mirrors = await mirrorsOf(options, log, hubCore, opened.bucket);
    listening.url = await listen(server, host, port);
  } catch (error) {
    for (const mirror of mirrors) await mirror.close();
    letters.close();
    joined?.member.hurry();
    await hubCore.close();
    throw error;
  }
  hubCore.begin();
  await joined?.member.begin({ ...hubCore, log });
  registry.follow();
  const asked = askWitnesses(options, log, services);

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    // First: whoever hears the goodbye comes back at once, and a connection that nobody says goodbye to would keep the server from its end.
    upgrades.close();
    for (const asking of asked) asking.close();
    await registry.close();
    joined?.member.hurry();
    try {
      await hubCore.close();
      await joined?.close();
    } finally {
      await Promise.all(mirrors.map((mirror) => mirror.close()));
      stores.close();
      await stopListening(server);
      letters.close();
      await store.close();
    }
  };
  return {
    id: identity.id,
    verifier_key: logKey(identity.id),
    url: listening.url,
    bucket: stores.bucket?.check.lines ?? [],
    pool: hubCore.pool,
    close: () => (closing ??= close()),
  };
}
