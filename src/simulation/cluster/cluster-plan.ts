// All choices for one history of a hub of several processes: its machines, and the faults with their times.
import type { Role } from '../../hub/cluster/member.ts';
import { type Random, seededRandom } from '../../protocol/random.ts';
import { KILL_POINTS, type KillPoint } from './shared-journal.ts';

export type ClusterFaultKind =
  /** The leader is killed at a point of its next write, and starts again. */
  | 'kill-leader'
  /** A process is killed, and starts again; or its machine comes back without its copy of the log. */
  | 'kill'
  | 'power'
  /** A process is asked to end, and starts again. */
  | 'restart'
  /** A process is stopped, and goes on; or the one that leads is. */
  | 'stop'
  | 'stop-leader'
  /** The keeper of the lease tells everybody that they have it; or it does not answer one of them. */
  | 'lease-lies'
  | 'lease-deaf'
  /** A machine does not reach the bus, and notices; or its messages go nowhere, and it does not. */
  | 'cut-bus'
  | 'part-bus'
  /** A machine does not reach the journal, or its clients do not reach it. */
  | 'cut-journal'
  | 'cut-clients'
  /** The whole bus is away, or loses messages. */
  | 'bus-down'
  | 'bus-loses'
  /** The journal refuses one request in five, answers nothing, is slow, loses answers, or does what it was asked later. */
  | 'journal-refuses'
  | 'journal-away'
  | 'journal-slow'
  | 'journal-loses'
  | 'journal-late'
  /** A device is switched off for good, together with the process that it is connected to. */
  | 'device-off';

export interface ClusterFault {
  readonly kind: ClusterFaultKind;
  readonly at_ms: number;
  readonly duration_ms: number;
  /** The machine, as a number of the list of those that it can be. */
  readonly machine: number;
  readonly point: KillPoint;
}

export interface MachinePlan {
  readonly name: string;
  readonly roles: readonly Role[];
  readonly starts_ms: number;
}

export interface ClusterPlan {
  readonly seed: number;
  readonly machines: readonly MachinePlan[];
  readonly senders: number;
  readonly devices: number;
  readonly send_every_ms: number;
  readonly bus_jitter_ms: number;
  readonly faults: readonly ClusterFault[];
  /** When the last fault is over. */
  readonly calm_ms: number;
}

/** How long faults last, from and up to. */
const LASTS_MS: Readonly<Record<ClusterFaultKind, readonly [number, number]>> = {
  'kill-leader': [2000, 8000],
  kill: [500, 8000],
  power: [500, 8000],
  restart: [200, 3000],
  stop: [2000, 12_000],
  'stop-leader': [2000, 12_000],
  'lease-lies': [20_000, 60_000],
  'lease-deaf': [5000, 20_000],
  'cut-bus': [2000, 20_000],
  'part-bus': [2000, 20_000],
  'cut-journal': [2000, 20_000],
  'cut-clients': [2000, 20_000],
  'bus-down': [3000, 60_000],
  'bus-loses': [5000, 20_000],
  'journal-refuses': [5000, 30_000],
  'journal-away': [3000, 30_000],
  'journal-slow': [10_000, 30_000],
  'journal-loses': [5000, 30_000],
  'journal-late': [5000, 30_000],
  'device-off': [3000, 12_000],
};
const KINDS = Object.keys(LASTS_MS) as ClusterFaultKind[];
/** Faults begin between these times; each history has so many. */
const FROM_MS = 6000;
const WITHIN_MS = 50_000;
const MOST_FAULTS = 6;

const EVERYTHING: readonly Role[] = ['sequencer', 'front', 'merger', 'gateway'];

export function clusterPlanOf(seed: number): ClusterPlan {
  const random = seededRandom('cluster plan', seed);
  const between = (low: number, high: number): number => low + random.below(high - low + 1);
  const kinds = drawKinds(random);
  const faults = kinds.map((kind): ClusterFault => {
    const point = KILL_POINTS[random.below(KILL_POINTS.length)];
    return {
      kind,
      at_ms: between(FROM_MS, WITHIN_MS),
      duration_ms: between(...LASTS_MS[kind]),
      machine: random.below(12),
      point,
    };
  });
  faults.sort((a, b) => a.at_ms - b.at_ms);
  return {
    seed,
    machines: machinesOf(random),
    senders: between(1, 4),
    devices: between(0, 4),
    send_every_ms: between(500, 2500),
    bus_jitter_ms: random.below(3) === 0 ? between(5, 60) : 0,
    faults,
    calm_ms: Math.max(...faults.map(({ at_ms, duration_ms }) => at_ms + duration_ms)),
  };
}

function drawKinds(random: Random): ClusterFaultKind[] {
  const count = 1 + random.below(MOST_FAULTS);
  return Array.from({ length: count }, () => KINDS[random.below(KINDS.length)]);
}

/** Two that do everything, one that only takes devices, and now and then one that takes none. */
function machinesOf(random: Random): MachinePlan[] {
  const starts_ms = (): number => random.below(2000);
  return [
    { name: 'a', roles: EVERYTHING, starts_ms: 0 },
    { name: 'b', roles: EVERYTHING, starts_ms: starts_ms() },
    { name: 'c', roles: ['front'], starts_ms: starts_ms() },
    ...(random.below(2) === 0 ? [{ name: 'd', roles: ['sequencer', 'merger'] as const, starts_ms: starts_ms() }] : []),
  ];
}

/** 50 kills of the leader, at every point of its writes, one after the other; nothing else goes wrong. */
export function killsPlanOf(seed: number): ClusterPlan {
  const random = seededRandom('kills of a cluster', seed);
  return {
    ...{ seed, machines: machinesOf(random), senders: 3, devices: 0, send_every_ms: 300 },
    ...{ bus_jitter_ms: 0, faults: [], calm_ms: 0 },
  };
}
