// Metrics for monitoring a hub: counts and durations in Prometheus' text format, at /metrics.
import type { Hono } from 'hono';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { NetworkState } from '../core/state.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import type { LogStore } from '../ledger/log-store.ts';
import { inUnit } from '../protocol/measures.ts';
import { incomingOf } from './answers.ts';
import { comesFromHere } from './askers.ts';
import { HubError } from './errors.ts';
import { openRelayCounts, type RelayCounts } from './relay.ts';
import { openPoolCounts, type PoolCounts } from './serving/pool-metrics.ts';

/** A commit takes milliseconds on a healthy disk and seconds on a failing one. */
const APPEND_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** Counting blobs reads every folder of the store, so it is done only often enough for a curve over days. */
const COUNT_BLOBS_EVERY_MS = 60_000;

/** What the gauges read. */
export interface Watched {
  readonly state: NetworkState;
  readonly blobs: BlobStore;
  readonly now_ms: () => number;
  /** Whether this process writes the log: of several of a hub one does. */
  leads(): boolean;
  roles(): ReadonlyMap<string, number>;
}

export interface Metrics {
  /** Counts a refusal, over HTTP or a WebSocket. `code` is one of ours, never a stranger's text. */
  refused(code: string): void;
  /** Counts bytes of blobs, uploaded or downloaded, as they went over the wire. */
  carried(direction: 'up' | 'down', size_bytes: number): void;
  /** What the pool that serves counts. */
  readonly pool: PoolCounts;
  /** What is passed on between devices. */
  readonly relay: RelayCounts;
  /** The same store, with the time of every append measured. */
  timed(store: LogStore): LogStore;
  /** Adds the gauges of an open hub. Call it once. */
  watch(watched: Watched): void;
  /** Everything in Prometheus' text format. */
  text(): Promise<string>;
}

/** Metrics of one hub. All hubs of a process share the process's own metrics. */
export function openMetrics(): Metrics {
  const registers = [new Registry()];
  const refusals = new Counter({
    name: 'potluck_refusals_total',
    help: 'Messages, events and requests that were refused, by the code of the answer.',
    labelNames: ['code'],
    registers,
  });
  const bytes = new Counter({
    name: 'potluck_blob_bytes_total',
    help: 'Bytes of blobs over the wire: up to the hub, down from it.',
    labelNames: ['direction'],
    registers,
  });
  for (const direction of ['up', 'down']) bytes.inc({ direction }, 0);
  const appends = new Histogram({
    name: 'potluck_append_duration_seconds',
    help: 'From handing an event to the log until it is durable.',
    buckets: APPEND_BUCKETS_S,
    registers,
  });
  return {
    refused: (code) => refusals.inc({ code }),
    pool: openPoolCounts(registers),
    relay: openRelayCounts(registers),
    carried: (direction, size_bytes) => bytes.inc({ direction }, size_bytes),
    timed: (store) => ({
      ...store,
      get size() {
        return store.size;
      },
      async append(entries) {
        const done = appends.startTimer();
        const first = await store.append(entries);
        done(); // a failure is not counted as a duration: it ends the hub's writing and shows in /ready
        return first;
      },
    }),
    watch: (watched) => addGauges(registers, watched),
    text: async () => (await Promise.all([registers[0], ofTheProcess()].map((one) => one.metrics()))).join('\n'),
  };
}

let processRegister: Registry | undefined;
/** Memory, processor, event loop: these probes are per process, so a second hub in it must not add them again. */
function ofTheProcess(): Registry {
  if (!processRegister) {
    processRegister = new Registry();
    collectDefaultMetrics({ register: processRegister });
  }
  return processRegister;
}

/** Gauges read their values when they are asked for, so they cannot get out of step with the state. */
function addGauges(registers: Registry[], { state, blobs, roles, leads, now_ms }: Watched): void {
  new Gauge({
    name: 'potluck_log_events',
    help: 'Events in the log.',
    registers,
    collect() {
      this.set(state.events);
    },
  });
  new Gauge({
    name: 'potluck_leads',
    help: 'Whether this process writes the log: 1 for one of the processes of a hub, 0 for the others.',
    registers,
    collect() {
      this.set(leads() ? 1 : 0);
    },
  });
  new Gauge({
    name: 'potluck_connections',
    help: 'Open WebSocket connections, by what the peer said it is.',
    labelNames: ['role'],
    registers,
    collect() {
      setAll(this, 'role', roles());
    },
  });
  new Gauge({
    name: 'potluck_runs',
    help: 'Runs on this hub, by phase.',
    labelNames: ['phase'],
    registers,
    collect() {
      setAll(this, 'phase', tally([...state.runs.values()].map((run) => run.phase)));
    },
  });
  new Gauge({
    name: 'potluck_run_measured',
    help: 'What validators measured last of each run that goes on, by the metrics of its game.',
    labelNames: ['run', 'metric', 'unit', 'better'],
    registers,
    collect() {
      this.reset();
      for (const { id, phase, spec, evaluation } of state.runs.values()) {
        if (phase === 'finished' || !evaluation) continue;
        for (const { name, words, unit, better } of spec.metrics) {
          this.set({ run: id, metric: words, unit, better }, inUnit(name, evaluation.measured[name]));
        }
      }
    },
  });
  new Gauge({
    name: 'potluck_peers_present',
    help: 'Peers that the log says are here, by role; one that is in two runs counts twice.',
    labelNames: ['role'],
    registers,
    collect() {
      const peers = [...state.runs.values()].flatMap((run) => [...run.peers.values()]);
      setAll(this, 'role', tally(peers.filter((peer) => peer.present).map((peer) => peer.role)));
    },
  });
  let counted_ms = Number.NEGATIVE_INFINITY;
  new Gauge({
    name: 'potluck_blobs',
    help: `Blobs in the store, counted at most every ${COUNT_BLOBS_EVERY_MS / 1000} seconds.`,
    registers,
    async collect() {
      if (now_ms() - counted_ms < COUNT_BLOBS_EVERY_MS) return;
      counted_ms = now_ms();
      let count = 0;
      for await (const _ of blobs.list()) count++;
      this.set(count);
    },
  });
}

function setAll<Label extends string>(gauge: Gauge<Label>, label: Label, counts: ReadonlyMap<string, number>): void {
  gauge.reset();
  for (const [value, count] of counts) gauge.set({ [label]: value } as Record<Label, string>, count);
}

/** How often each value occurs. */
export function tally(values: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/** Counts every refusal of what is added to an app after it. */
export function countRefusals(app: Hono, metrics: Metrics): void {
  app.use(async (c, next) => {
    await next();
    const thrown = c.get('thrown') as string | undefined;
    if (thrown) return metrics.refused(thrown); // what is read below costs more than most refusals
    if (c.res.status < 400 || !c.res.headers.get('content-type')?.startsWith('application/json')) return;
    const { error } = (await c.res.clone().json()) as { error?: { code?: string } };
    if (error?.code) metrics.refused(error.code);
  });
}

/** Adds /metrics to an app, for everybody or for programs of this machine. */
export function serveMetrics(app: Hono, metrics: Metrics, toEverybody: boolean): void {
  app.get('/metrics', async (c) => {
    if (!toEverybody && !comesFromHere(incomingOf(c))) {
      throw new HubError('not-public', 'only programs of its own machine may read what this hub counts');
    }
    return c.body(await metrics.text(), 200, {
      'content-type': Registry.PROMETHEUS_CONTENT_TYPE,
      'cache-control': 'no-store',
    });
  });
}
