// What a hub is beside its disk and its port: the sequencer, the rounds, the connections and the models, put together on any clock.

import { decodeEvent } from '../core/codec.ts';
import { blobsNamedBy, type LoggedEvent } from '../core/events.ts';
import { core, type StateMachine } from '../core/reduce.ts';
import { nextAddressChange } from '../core/shares/addresses.ts';
import { balanceOf } from '../core/shares/balances.ts';
import type { RunState } from '../core/state.ts';
import type { LoadGame } from '../games/registry.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import type { TransparencyLog } from '../ledger/transparency-log.ts';
import type { Clock } from '../protocol/clock.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { DrawingIdentity } from '../protocol/identity.ts';
import type { HolderView } from '../protocol/messages.ts';
import { openAbandonedRuns } from './abandoned-runs.ts';
import { admit } from './admission.ts';
import { openCompaction } from './compaction.ts';
import { type ConditionChange, type DiskSpace, watchCondition } from './condition.ts';
import type { ConnectionLimits } from './connection.ts';
import { type Connections, openConnections } from './connections.ts';
import { openCosignatures } from './cosignatures.ts';
import { HubError } from './errors.ts';
import { openFeed } from './feed.ts';
import { openHistories } from './history.ts';
import type { HttpServices } from './http.ts';
import { openLogClock, skewOf } from './log-clock.ts';
import { openModels } from './models.ts';
import { openRateLimits, type Rates } from './rate-limits.ts';
import { driveRounds, type Rounds } from './rounds.ts';
import { watchRuns } from './run-news.ts';
import { openRunPolicy, type RunPolicy } from './run-policy.ts';
import { openSamples, type Samples } from './samples.ts';
import { openSequencer, type Sequencer } from './sequencer.ts';
import { type Keepsake, keptTogether, type Snapshots } from './snapshots.ts';
import { openKept } from './statuses.ts';
import { namedThrough, openSweeps } from './sweep.ts';
import { isKnownKey, type UnnamedBlobs, unnamedBlobs } from './unnamed-blobs.ts';
import { type PeerTelemetry, runStatuses, runView } from './views.ts';
import { openWorkerHistories } from './worker-histories.ts';

export interface MeetingPlaceOptions {
  readonly identity: DrawingIdentity;
  readonly log: TransparencyLog;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly limits: ConnectionLimits;
  /** What differs from RATES. */
  readonly rates?: Partial<Rates>;
  /** Who may create runs; anybody, if nothing is said. */
  readonly runs?: RunPolicy;
  /** Called with every event after it is durable. */
  readonly onEvent?: (event: LoggedEvent, index: number) => void;
  readonly onError?: (error: unknown, where: string) => void;
  /** Called when the hub's disk fills up, has room again, or its log cannot be written. */
  readonly onCondition?: (change: ConditionChange, error: unknown) => void;
  /** How much room the disk has; without it nobody asks. */
  readonly space?: () => Promise<DiskSpace>;
  /** What stays free of uploads. */
  readonly floor_bytes?: number;
  /** Called with the code of everything that is refused over a connection. */
  readonly onRefused?: (code: string) => void;
  /** For the simulator: other games than this build's, and the core with a planted fault. */
  readonly loadGame?: LoadGame;
  readonly machine?: StateMachine;
  /** Without them every start replays the whole log. `beside` is what they keep beside the state. */
  readonly snapshots?: (beside: Keepsake) => Snapshots;
}

export interface MeetingPlace {
  readonly sequencer: Sequencer;
  readonly connections: Connections;
  /** What is served over HTTP. */
  readonly services: HttpServices;
  readonly unnamed: UnnamedBlobs;
  /** Sets the rounds going. Call it when peers can connect: who was here before has a few seconds to come back. */
  begin(): void;
  /** Stops taking anything; resolves when what was accepted is durable. */
  close(): Promise<void>;
}

/** Replays the log, from a snapshot where there is one, and opens everything on it. Throws HubError bad-folder, GameError. */
export async function openMeetingPlace(options: MeetingPlaceOptions): Promise<MeetingPlace> {
  const { identity, log, blobs, clock, machine = core } = options;
  const onError = (error: unknown, where: string): void => {
    // That nothing can be written is told once, as the hub's condition, not by everything that would have been.
    const known = error instanceof HubError && (error.code === 'disk-full' || error.code === 'log-failed');
    if (!known) options.onError?.(error, where);
  };
  const histories = openHistories();
  const workers = openWorkerHistories();
  const samples: Samples = openSamples(() => sequencer.state);
  const sequencer: Sequencer = openSequencer(log, identity, {
    clock,
    machine: workers.watched(histories.watched(machine)),
    snapshots: options.snapshots?.(keptTogether([histories, workers, samples])),
  });
  const time = openLogClock(sequencer.state.time_ms, clock);
  const isKnown = (id: string): boolean => isKnownKey(sequencer.state, id);
  const unnamed = unnamedBlobs(isKnown);
  const put = (bytes: Uint8Array) => unnamed.holding([sha256Hex(bytes)], () => blobs.put(bytes));
  const models = openModels({ ...blobs, put }, options.loadGame);
  const telemetry = new Map<string, PeerTelemetry>();
  const rates = openRateLimits(clock, options.rates);
  const policy = options.runs ?? openRunPolicy('anybody', new Set());
  const abandoned = openAbandonedRuns(sequencer, policy, {
    ...{ clock, time },
    onError: (error) => onError(error, 'the clock of empty runs'),
  });
  const denseSizes = new Map<string, number>();

  const denseBytes = (run: RunState): number => run.submissions_total * (denseSizes.get(run.id) ?? 0);
  const learnSizes = async (run: RunState): Promise<void> => {
    const { game, params } = await models.game(run.spec);
    denseSizes.set(run.id, game.sizes(params).dense_bytes);
  };
  for (const run of sequencer.state.runs.values()) await learnSizes(run);

  let stage: 'opening' | 'ready' | 'closing' = 'opening';

  const condition = watchCondition({
    ...{ sequencer, clock, stage: () => stage, floor_bytes: options.floor_bytes, space: options.space ?? null },
    onChange: (now, error) => {
      if (now.state === 'disk-full' || now.state === 'log-failed') connections.suspend(now.reason!);
      else connections.resume();
      options.onCondition?.(now, error);
    },
  });

  let rounds: Rounds | undefined;
  const problemOf = (run: RunState): string | null => {
    const { state, reason } = condition.last;
    const skew = run.phase === 'finished' ? null : skewOf(time.ahead_ms());
    const own = state === 'ready' || state === 'opening' ? null : reason;
    return [own, rounds?.problemOf(run), skew].filter(Boolean).join('; ') || null;
  };
  const statuses = openKept(() => runStatuses(sequencer.state, time, telemetry, denseBytes, problemOf), clock);
  const events = () => sequencer.state.events;
  const services = {
    id: identity.id,
    state: sequencer.state,
    clock,
    time,
    randomBytes: options.randomBytes,
    blobs,
    log,
    cosignatures: openCosignatures(identity.id),
    telemetry,
    rates,
    submit: async (bytes: Uint8Array, address: string | null) => {
      try {
        const event = decodeEvent(bytes);
        rates.take('event_key', event.author);
        const isRun = event.body.type === 'run.created';
        const mayCreate = (): void => {
          if (isRun) policy.check(event.author, address, sequencer.state, abandoned.now_ms());
        };
        mayCreate();
        if (isRun) rates.take('run_address', address);
        if (event.body.type === 'peer.joined') {
          rates.take('join_key', event.author);
          rates.take('join_address', address);
        }
        const { index } = await unnamed.holding(blobsNamedBy(event.body), async () => {
          await admit(event, sequencer.state, machine, blobs, models);
          if (isRun) await abandoned.makeRoom(event.author, address);
          mayCreate(); // others may have come while its blobs were read
          if (isRun) policy.created(event.id, address, sequencer.state);
          return sequencer.submit(bytes);
        });
        return { id: event.id, index, receipt: await log.receipt(index) };
      } catch (error) {
        if (error instanceof HubError && error.details?.refusal === 'too-many-runs') abandoned.wanted();
        // Whoever lost the connection before the answer came asks again: the event stands once, the answer is the same.
        const id = sha256Hex(bytes);
        const index = sequencer.indexOf(id);
        if (!(error instanceof HubError && error.code === 'refused') || index === undefined) throw error;
        return { id, index, receipt: await log.receipt(index) };
      }
    },
    write: (body: LoggedEvent['body']) => sequencer.write(body),
    statuses,
    samples,
    history: (run: string) => histories.of(run),
    workers,
    feed: openFeed({ statuses, histories, samples, events, now_ms: () => Math.round(time.now_ms()) }),
    view: (id: string) => {
      const run = sequencer.state.runs.get(id);
      return run ? runView(run, time, true) : null;
    },
    account: (account: string, from: string | null) => {
      const { state } = sequencer;
      const address = state.addresses.get(account)?.address ?? null;
      const run_refusal = policy.refusal(account, from, state, abandoned.now_ms());
      if (run_refusal?.code === 'too-many-runs') abandoned.wanted();
      return { hub: identity.id, account, address, next_change: nextAddressChange(state, account), run_refusal };
    },
    holder: (id: string, account: string): HolderView | null => {
      const run = sequencer.state.runs.get(id);
      if (!run) return null;
      const { held, withheld } = balanceOf(run, account);
      return { run: id, account, merged_rounds: run.round, shares: held, withheld, emitted: run.emitted_shares };
    },
    counts: () => ({ events: sequencer.state.events, connections: connections.count() }),
    condition: () => condition.look(),
    isKnown,
    mustHaveRoom: condition.mustHaveRoom,
    onRefused: options.onRefused ?? (() => {}),
    onError,
  };
  const connections = openConnections(services, options.limits);

  const changesOf = watchRuns(sequencer.state);
  const compact = openCompaction(sequencer.state, blobs, (error) => onError(error, 'deleting a blob'));
  sequencer.onEvent((event, index) => {
    options.onEvent?.(event, index);
    for (const hash of blobsNamedBy(event.body)) unnamed.named(hash);
    compact(event);
    if (event.body.type === 'peer.joined') connections.joined(event.body.run, event.author);
    if (event.body.type === 'run.created') {
      learnSizes(sequencer.state.runs.get(event.id)!).catch((error) => onError(error, 'run.created'));
      // The pieces of its text are named by no event, but through its settings.
      namedThrough(blobs, [event.body.params], unnamed.of(event.author))
        .then((hashes) => hashes.forEach((hash) => void unnamed.named(hash)))
        .catch((error) => onError(error, 'run.created'));
    }
    for (const [run, audience] of changesOf(event)) connections.runChanged(run, audience);
  });

  let sweeps: ReturnType<typeof openSweeps> | undefined;
  return {
    sequencer,
    connections,
    services,
    unnamed,
    begin() {
      rounds = driveRounds({
        ...{ sequencer, models, identity, clock, time },
        onError: (error, run) => onError(error, `round ${run.round} of run ${run.id}`),
        onSkew: (error) => onError(error, 'the clock'),
      });
      connections.forgetAbsent();
      const sweepError = (error: unknown): void => onError(error, 'deleting uploads that nothing names');
      sweeps = openSweeps({ blobs, log, state: sequencer.state, unnamed, clock, time, onError: sweepError });
      stage = 'ready';
    },
    async close() {
      stage = 'closing';
      condition.close();
      // Whatever waits for room on the disk would wait for ever.
      if (sequencer.standing !== 'taking') await sequencer.close();
      await rounds?.close();
      await sweeps?.close();
      connections.close();
      await sequencer.close();
    },
  };
}
