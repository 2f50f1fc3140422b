// A hub without its disk and its port: the log's state, the rounds, the connections and the models, assembled on any clock.

import { arrivedWith } from '../audit/run-beginning.ts';
import { ownerNow } from '../core/devices.ts';
import type { EventBody, LoggedEvent } from '../core/events.ts';
import { core, type StateMachine } from '../core/reduce.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import type { LoadGame } from '../games/registry.ts';
import { type BlobStore, createMemoryBlobStore } from '../ledger/blob-store.ts';
import type { TransparencyLog } from '../ledger/transparency-log.ts';
import type { Clock } from '../protocol/clock.ts';
import type { Fleet } from '../protocol/fleet.ts';
import type { DrawingIdentity } from '../protocol/identity.ts';
import type { Split } from '../serving/price.ts';
import { openAbandonedRuns } from './abandoned-runs.ts';
import type { Member } from './cluster/member.ts';
import { ALONE } from './cluster/presence.ts';
import { NO_TALK } from './cluster/talk.ts';
import { type ConditionChange, type DiskSpace, watchCondition } from './condition.ts';
import type { ConnectionLimits } from './connection.ts';
import { type Connections, openConnections } from './connections.ts';
import { openCosignatures } from './cosignatures.ts';
import { openDenseBytes } from './dense-bytes.ts';
import { type EnclosedServices, enclosedTaker } from './enclosed-blobs.ts';
import { HubError, missing } from './errors.ts';
import { openFeed } from './feed.ts';
import type { HttpServices } from './http.ts';
import { openIntake } from './intake.ts';
import { type Lead, openLead } from './lead.ts';
import { openLogClock, writeTick } from './log-clock.ts';
import { type Models, openModels } from './models.ts';
import { openNamedBlobs } from './named-blobs.ts';
import { openQueries } from './queries.ts';
import { openRateLimits, type Rates } from './rate-limits.ts';
import { NO_RELAY_COUNTS, type RelayCounts } from './relay.ts';
import { openReplica } from './replica.ts';
import { watchRuns } from './run-news.ts';
import { openRunPolicy, type RunPolicy } from './run-policy.ts';
import { problemsOf } from './run-problems.ts';
import type { Sequencer } from './sequencer.ts';
import { marginsOf, modelsOfRuns } from './serving/models.ts';
import { PAY_SPLIT } from './serving/payments.ts';
import { openPool, type Pool } from './serving/pool.ts';
import { NO_COUNTS, type PoolCounts } from './serving/pool-metrics.ts';
import { mayEarn, NO_RECEIPTS, type OtherHolders, openReceipts } from './serving/receipts.ts';
import { limitsBy } from './serving/verdict.ts';
import { openVerdictCounts } from './serving/verdict-counts.ts';
import { wholeFleet } from './serving/whole-fleet.ts';
import type { Keepsake, Snapshots } from './snapshots.ts';
import type { StateHost } from './state-host.ts';
import { openKept } from './statuses.ts';
import { isKnownKey, type UnnamedBlobs, unnamedBlobs } from './unnamed-blobs.ts';
import { type PeerTelemetry, runStatuses } from './views.ts';

export interface HubCoreOptions {
  readonly identity: DrawingIdentity;
  readonly log: TransparencyLog;
  readonly blobs: BlobStore;
  /** Where the current states of runs are kept between checkpoints; in memory by default. It starts empty. */
  readonly present?: BlobStore;
  /** Where built-in games check and merge; in this thread by default. */
  readonly states?: StateHost;
  readonly clock: Clock;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly limits: ConnectionLimits;
  /** Overrides of RATES. */
  readonly rates?: Partial<Rates>;
  /** Who may create runs; by default anybody. */
  readonly runs?: RunPolicy;
  /** Called with every event after it is durable. */
  readonly onEvent?: (event: LoggedEvent, index: number) => void;
  readonly onError?: OnError;
  /** Called when the hub's disk becomes full, has space again, or its log cannot be written. */
  readonly onCondition?: (change: ConditionChange, error: unknown) => void;
  /** The free space of the disk; without it, space is not checked. */
  readonly space?: () => Promise<DiskSpace>;
  /** The space that uploads leave free. */
  readonly floor_bytes?: number;
  /** Called with the code of every refusal over a connection. */
  readonly onRefused?: (code: string) => void;
  /** Where receipts of answers are kept until they are settled; by default in memory. */
  readonly receipts?: string;
  /** How often receipts are settled; by default RECEIPT_LIMITS.batch_ms. */
  readonly settle_ms?: number;
  /** What holders of a model and this hub get of what answers cost; by default PAY_SPLIT. */
  readonly split?: Split;
  /** Whether callers pay for answers, which takes keys; missing: nobody does. */
  readonly charges?: boolean;
  /** What the pool that serves counts. */
  readonly poolCounts?: PoolCounts;
  /** Called with the size of each blob that came enclosed in an event. */
  readonly onCarried?: (size_bytes: number) => void;
  /** What is counted of frames between devices. */
  readonly relayCounts?: RelayCounts;
  /** For the simulator: other games than the built-in ones, and the core with a planted fault. */
  readonly loadGame?: LoadGame;
  readonly machine?: StateMachine;
  /** In a hub of several processes, how this one follows another that leads. Without it this process leads from the start. */
  readonly member?: Omit<Member, 'begin' | 'hurry' | 'close'>;
  /** Without them every start replays the whole log. `beside` is what they keep beside the state. */
  readonly snapshots?: (beside: Keepsake) => Snapshots;
}

export interface HubCore {
  readonly sequencer: Sequencer;
  readonly connections: Connections;
  /** What is served over HTTP. */
  readonly services: HttpServices;
  readonly unnamed: UnnamedBlobs;
  /** The devices that serve, as callers' API uses them. */
  readonly pool: Pool;
  readonly models: Models;
  /** Call it when peers can connect. A process that leads starts the rounds; peers that were present before have a few seconds to come back. */
  begin(): void;
  /** A process that followed leads from now on: its sequencer does already. Rejects where it cannot write the log. */
  lead(): Promise<void>;
  /**
   * Runs a step that lets an event name blobs which another process has seen: meanwhile none of them is deleted. Throws HubError `missing-blob`
   * where this process has deleted one since.
   */
  letName<T>(hashes: readonly string[], work: () => Promise<T>): Promise<T>;
  /** Stops taking anything; resolves when everything accepted is durable. */
  close(): Promise<void>;
}

/** Replays the log, from a snapshot where there is one, and opens everything on it. Throws HubError `bad-folder`, GameError. */
export async function openHubCore(options: HubCoreOptions): Promise<HubCore> {
  const { identity, log, blobs, clock, member, machine = core } = options;
  const onError = options.onError ? withoutKnown(options.onError) : () => {};
  const replica = openReplica({ ...options, machine, leader: member?.leader });
  const { sequencer, histories, workers, merged, samples } = replica;
  const { state } = sequencer;
  const time = openLogClock(state.time_ms, clock);
  const isKnown = (id: string): boolean => isKnownKey(state, id);
  const unnamed = unnamedBlobs(isKnown);
  const models = openModels(blobs, options.present ?? createMemoryBlobStore(), { ...options, holds: unnamed });
  const rates = openRateLimits(clock, options.rates);
  const policy = options.runs ?? openRunPolicy('anybody', new Set());
  const abandoned = openAbandonedRuns(sequencer, policy, { clock, time, onError });
  const denseBytes = openDenseBytes(models);
  for (const run of state.runs.values()) await denseBytes.learn(run);

  let stage: 'opening' | 'ready' | 'closing' = 'opening';
  let led: Lead | undefined;

  const condition = watchCondition({
    ...{ sequencer, clock, cutOff: member?.cutOff, stage: () => stage },
    ...{ floor_bytes: options.floor_bytes, space: options.space ?? null },
    onChange: (now, error) => {
      if (TAKES_NOBODY.has(now.state)) connections.suspend(now.reason!);
      else connections.resume();
      options.onCondition?.(now, error);
    },
  });
  const telemetry = new Map<string, PeerTelemetry>();
  const problemOf = (run: RunState): string | null =>
    problemsOf(run, condition.last, led?.problemOf(run) ?? null, time.ahead_ms());
  const statuses = openKept(() => runStatuses(state, time, telemetry, denseBytes.of, problemOf), clock);
  const now_ms = () => Math.round(time.now_ms());
  const { pool, receipts, fleet, ...paid } = await openPaidPool(sequencer, options, onError);
  const services = {
    ...{ id: identity.id, state, clock, time, randomBytes: options.randomBytes, blobs, log },
    ...{ telemetry, rates, samples, workers, merged, statuses, isKnown, onError, pool, receipts, fleet },
    ...openQueries({ hub: identity.id, state, time, policy, abandoned }),
    cosignatures: openCosignatures(identity.id, member?.post),
    ...openIntake({ sequencer, log, machine, blobs, models, unnamed, rates, policy, abandoned }),
    ...{ write: (body: EventBody) => sequencer.write(body), history: (run: string) => histories.of(run) },
    feed: openFeed({ statuses, histories, samples, events: () => state.events, now_ms }),
    counts: () => ({ events: state.events, connections: connections.count() }),
    condition: () => condition.look(),
    mustHaveRoom: condition.mustHaveRoom,
    onRefused: options.onRefused ?? (() => {}),
    relayCounts: options.relayCounts ?? NO_RELAY_COUNTS,
    ...{ ...(member ?? NO_OTHERS), leads: () => sequencer.leads, lacks: () => member?.cutOff.lacked ?? null },
  };
  const connections = openConnections(withEnclosed(services, unnamed, options), options.limits);

  const nameBlobs = openNamedBlobs({ ...services, unnamed });
  sequencer.onEvent((event, index) => {
    options.onEvent?.(event, index);
    nameBlobs(event);
    const come = broughtBy(event, state);
    if (come) denseBytes.learn(come).catch((error) => onError(error, event.body.type));
  });
  tellConnections(sequencer, connections);

  const merge = member?.merge ?? models.merge;
  const lead = (): void => {
    led = openLead({ ...{ sequencer, merge, identity, clock, time, blobs, log, unnamed, onError } });
    connections.forgetAbsent();
  };
  return {
    ...{ sequencer, connections, services, unnamed, pool, models },
    begin() {
      if (sequencer.leads) lead();
      stage = 'ready';
    },
    async lead() {
      // The first thing that it writes: a process that led before, and does not know yet that it does not, can write nothing after it.
      await writeTick(sequencer, time);
      lead();
    },
    letName: openNaming(unnamed, blobs),
    async close() {
      stage = 'closing';
      const isPaid = paid.close();
      condition.close();
      // Otherwise, what waits for disk space would wait for ever.
      if (sequencer.standing !== 'taking') await sequencer.close();
      await isPaid;
      await led?.close();
      connections.close();
      await sequencer.close();
    },
  };
}

const openNaming =
  (unnamed: UnnamedBlobs, blobs: HubCoreOptions['blobs']): HubCore['letName'] =>
  (hashes, work) =>
    unnamed.holding(hashes, async () => {
      for (const hash of hashes) if (unnamed.wasRemoved(hash) && !(await blobs.has(hash))) missing(hash);
      return work();
    });

/** In these conditions devices are sent away. */
const TAKES_NOBODY: ReadonlySet<ConditionChange['state']> = new Set(['disk-full', 'log-failed', 'cut-off']);
/** What a process that is a hub's only one knows of others. */
const NO_OTHERS = { presence: ALONE, talk: NO_TALK, relayAround: null, servingAround: null };

/** Tells connected devices and observers what concerns them of every event. */
function tellConnections(sequencer: Sequencer, connections: Connections): void {
  const { state } = sequencer;
  const changesOf = watchRuns(state);
  sequencer.onEvent((event) => {
    const { author, body } = event;
    if (body.type === 'peer.joined') connections.joined(body.run, author);
    // The leave that another process wrote may have crossed with the device's return to this one.
    if (body.type === 'peer.left' && author === state.hub && !sequencer.leads) connections.left(body.run, body.peer);
    for (const [run, audience] of changesOf(event)) connections.runChanged(run, audience);
  });
}

const withEnclosed = <S extends Omit<EnclosedServices, 'unnamed'>>(
  services: S,
  unnamed: UnnamedBlobs,
  { onCarried }: HubCoreOptions,
) => ({ ...services, takeEnclosed: enclosedTaker({ ...services, unnamed, onCarried }) });

/** The pool of devices that serve the models of a hub's runs, what its judges say on its way into the log, and what is paid. */
async function openPaidPool(sequencer: Sequencer, options: HubCoreOptions, onError: OnError) {
  const { identity, log, blobs, clock, randomBytes, member, poolCounts = NO_COUNTS } = options;
  const { split = PAY_SPLIT, charges = false } = options;
  const { state } = sequencer;
  const gateways = member?.gateways(() => pool.fleet()) ?? null;
  const receiptsOptions = {
    ...{ path: options.receipts ?? ':memory:', identity, sequencer, log, blobs, clock },
    onProblem: (error: unknown) => onError(error, 'settling answers'),
    ...(options.settle_ms !== undefined && { limits: { batch_ms: options.settle_ms } }),
    ...(gateways && { others: { ...gateways, onSettled: settledBy(sequencer) } }),
  };
  const receipts = member?.isGateway === false ? NO_RECEIPTS : await openReceipts(receiptsOptions);
  const verdicts = openVerdictCounts({
    ...{ state, clock, write: (body: () => EventBody) => sequencer.write(body) },
    onError: (error) => onError(error, 'counting verdicts on answers'),
  });
  const pool = openPool({
    ...{ clock, randomBytes, decided: verdicts.decided, counts: poolCounts },
    limitsOf: (offer) => limitsBy(marginsOf(state, offer), offer.quantisation),
    models: () => modelsOfRuns(state),
    ownerOf: (peer) => ownerNow(state, peer),
    payments: {
      ...{ receipts, gateway: identity.id, split, charges },
      mayEarn: (peer) => mayEarn(state, peer),
      onProblem: (error) => onError(error, 'paying for an answer'),
    },
  });
  const close = async (): Promise<void> => {
    await pool.close();
    await receipts.close();
    await verdicts.close();
    gateways?.close();
  };
  const fleet = async (): Promise<Fleet> => {
    const own = member?.isGateway === false ? [] : [pool.fleet()];
    return gateways ? wholeFleet([...own, ...(await gateways.fleets())]) : own[0];
  };
  return { pool, receipts, fleet, close };
}

/** Calls back for each batch of receipts that is in the log. */
const settledBy =
  (sequencer: Sequencer): OtherHolders['onSettled'] =>
  (listener) =>
    sequencer.onEvent(({ body }, entry) => {
      if (body.type === 'answers.settled') listener({ entry, body });
    });

type OnError = (error: unknown, where: string) => void;

/** Filters out errors of writing to a full disk: that is reported once, as the hub's condition, and not for each write. */
const withoutKnown =
  (onError: OnError): OnError =>
  (error, where) => {
    const is_known = error instanceof HubError && (error.code === 'disk-full' || error.code === 'log-failed');
    if (!is_known) onError(error, where);
  };

/** The run that is in the log since this event: it was created, or has come from another hub. */
const broughtBy = (event: LoggedEvent, state: NetworkState): RunState | undefined | null =>
  event.body.type === 'run.created' ? state.runs.get(event.id) : arrivedWith(event, state);
