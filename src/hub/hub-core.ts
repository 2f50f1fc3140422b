// A hub without its disk and its port: the log's state, the rounds, the connections and the models, assembled on any clock.

import { ownerNow } from '../core/devices.ts';
import type { EventBody, LoggedEvent } from '../core/events.ts';
import { core, type StateMachine } from '../core/reduce.ts';
import type { RunState } from '../core/state.ts';
import type { LoadGame } from '../games/registry.ts';
import { type BlobStore, createMemoryBlobStore } from '../ledger/blob-store.ts';
import type { TransparencyLog } from '../ledger/transparency-log.ts';
import type { Clock } from '../protocol/clock.ts';
import type { DrawingIdentity } from '../protocol/identity.ts';
import type { Split } from '../serving/price.ts';
import { openAbandonedRuns } from './abandoned-runs.ts';
import { type ConditionChange, type DiskSpace, watchCondition } from './condition.ts';
import type { ConnectionLimits } from './connection.ts';
import { type Connections, openConnections } from './connections.ts';
import { openCosignatures } from './cosignatures.ts';
import { openDenseBytes } from './dense-bytes.ts';
import { HubError } from './errors.ts';
import { openFeed } from './feed.ts';
import type { HttpServices } from './http.ts';
import { openIntake } from './intake.ts';
import { openLogClock } from './log-clock.ts';
import { openModels } from './models.ts';
import { openNamedBlobs } from './named-blobs.ts';
import { openQueries } from './queries.ts';
import { openRateLimits, type Rates } from './rate-limits.ts';
import { NO_RELAY_COUNTS, type RelayCounts } from './relay.ts';
import { openReplica } from './replica.ts';
import { driveRounds, type Rounds } from './rounds.ts';
import { watchRuns } from './run-news.ts';
import { openRunPolicy, type RunPolicy } from './run-policy.ts';
import { problemsOf } from './run-problems.ts';
import type { Sequencer } from './sequencer.ts';
import { marginsOf, modelsOfRuns } from './serving/models.ts';
import { PAY_SPLIT } from './serving/payments.ts';
import { openPool, type Pool } from './serving/pool.ts';
import { NO_COUNTS, type PoolCounts } from './serving/pool-metrics.ts';
import { mayEarn, openReceipts } from './serving/receipts.ts';
import { limitsBy } from './serving/verdict.ts';
import { openVerdictCounts } from './serving/verdict-counts.ts';
import type { Keepsake, Snapshots } from './snapshots.ts';
import type { StateHost } from './state-host.ts';
import { openKept } from './statuses.ts';
import { openSweeps } from './sweep.ts';
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
  /** What is counted of frames between devices. */
  readonly relayCounts?: RelayCounts;
  /** For the simulator: other games than the built-in ones, and the core with a planted fault. */
  readonly loadGame?: LoadGame;
  readonly machine?: StateMachine;
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
  /** Starts the rounds. Call it when peers can connect: those who were present before have a few seconds to come back. */
  begin(): void;
  /** Stops taking anything; resolves when everything accepted is durable. */
  close(): Promise<void>;
}

/** Replays the log, from a snapshot where there is one, and opens everything on it. Throws HubError `bad-folder`, GameError. */
export async function openHubCore(options: HubCoreOptions): Promise<HubCore> {
  const { identity, log, blobs, clock, machine = core } = options;
  const onError = options.onError ? withoutKnown(options.onError) : () => {};
  const { sequencer, histories, workers, merged, samples } = openReplica({ ...options, machine });
  const { state } = sequencer;
  const time = openLogClock(state.time_ms, clock);
  const isKnown = (id: string): boolean => isKnownKey(state, id);
  const unnamed = unnamedBlobs(isKnown);
  const models = openModels(blobs, options.present ?? createMemoryBlobStore(), { ...options, holds: unnamed });
  const rates = openRateLimits(clock, options.rates);
  const policy = options.runs ?? openRunPolicy('anybody', new Set());
  const onTickError = (error: unknown): void => onError(error, 'the clock of empty runs');
  const abandoned = openAbandonedRuns(sequencer, policy, { clock, time, onError: onTickError });
  const denseBytes = openDenseBytes(models);
  for (const run of state.runs.values()) await denseBytes.learn(run);

  let stage: 'opening' | 'ready' | 'closing' = 'opening';
  let rounds: Rounds | undefined;
  let sweeps: ReturnType<typeof openSweeps> | undefined;

  const condition = watchCondition({
    ...{ sequencer, clock, stage: () => stage, floor_bytes: options.floor_bytes, space: options.space ?? null },
    onChange: (now, error) => {
      if (now.state === 'disk-full' || now.state === 'log-failed') connections.suspend(now.reason!);
      else connections.resume();
      options.onCondition?.(now, error);
    },
  });
  const telemetry = new Map<string, PeerTelemetry>();
  const problemOf = (run: RunState): string | null =>
    problemsOf(run, condition.last, rounds?.problemOf(run) ?? null, time.ahead_ms());
  const statuses = openKept(() => runStatuses(state, time, telemetry, denseBytes.of, problemOf), clock);
  const now_ms = () => Math.round(time.now_ms());
  const { pool, receipts, ...paid } = await openPaidPool(sequencer, options, onError);
  const services = {
    ...{ id: identity.id, state, clock, time, randomBytes: options.randomBytes, blobs, log },
    ...{ telemetry, rates, samples, workers, merged, statuses, isKnown, onError, pool, receipts },
    ...openQueries({ hub: identity.id, state, time, policy, abandoned }),
    cosignatures: openCosignatures(identity.id),
    submit: openIntake({ sequencer, log, machine, blobs, models, unnamed, rates, policy, abandoned }),
    write: (body: LoggedEvent['body']) => sequencer.write(body),
    history: (run: string) => histories.of(run),
    feed: openFeed({ statuses, histories, samples, events: () => state.events, now_ms }),
    counts: () => ({ events: state.events, connections: connections.count() }),
    condition: () => condition.look(),
    mustHaveRoom: condition.mustHaveRoom,
    onRefused: options.onRefused ?? (() => {}),
    relayCounts: options.relayCounts ?? NO_RELAY_COUNTS,
  };
  const connections = openConnections(services, options.limits);

  const nameBlobs = openNamedBlobs(state, blobs, unnamed, onError);
  const changesOf = watchRuns(state);
  sequencer.onEvent((event, index) => {
    options.onEvent?.(event, index);
    nameBlobs(event);
    if (event.body.type === 'peer.joined') connections.joined(event.body.run, event.author);
    if (event.body.type === 'run.created') {
      denseBytes.learn(state.runs.get(event.id)!).catch((error) => onError(error, 'run.created'));
    }
    for (const [run, audience] of changesOf(event)) connections.runChanged(run, audience);
  });

  return {
    ...{ sequencer, connections, services, unnamed, pool },
    begin() {
      rounds = driveRounds({
        ...{ sequencer, models, identity, clock, time },
        onError: (error, run) => onError(error, `round ${run.round} of run ${run.id}`),
        onSkew: (error) => onError(error, 'the clock'),
      });
      connections.forgetAbsent();
      const sweepError = (error: unknown): void => onError(error, 'deleting uploads that nothing names');
      sweeps = openSweeps({ blobs, log, state, unnamed, clock, time, onError: sweepError });
      stage = 'ready';
    },
    async close() {
      stage = 'closing';
      const isPaid = paid.close();
      condition.close();
      // Otherwise, what waits for disk space would wait for ever.
      if (sequencer.standing !== 'taking') await sequencer.close();
      await isPaid;
      await rounds?.close();
      await sweeps?.close();
      connections.close();
      await sequencer.close();
    },
  };
}

/** The pool of devices that serve the models of a hub's runs, what its judges say on its way into the log, and what is paid. */
async function openPaidPool(sequencer: Sequencer, options: HubCoreOptions, onError: OnError) {
  const { identity, log, blobs, clock, randomBytes, poolCounts = NO_COUNTS } = options;
  const { split = PAY_SPLIT, charges = false } = options;
  const { state } = sequencer;
  const receipts = await openReceipts({
    ...{ path: options.receipts ?? ':memory:', identity, sequencer, log, blobs, clock },
    onProblem: (error) => onError(error, 'settling answers'),
    ...(options.settle_ms !== undefined && { limits: { batch_ms: options.settle_ms } }),
  });
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
  };
  return { pool, receipts, close };
}

type OnError = (error: unknown, where: string) => void;

/** Filters out errors of writing to a full disk: that is reported once, as the hub's condition, and not for each write. */
const withoutKnown =
  (onError: OnError): OnError =>
  (error, where) => {
    const is_known = error instanceof HubError && (error.code === 'disk-full' || error.code === 'log-failed');
    if (!is_known) onError(error, where);
  };
