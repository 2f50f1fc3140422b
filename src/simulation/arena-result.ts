// The result of an arena: each device's pay and cost, the measured states of the game, and the verdicts of honest judges on honest work.
import type { RunState } from '../core/state.ts';
import type { Metric } from '../protocol/measures.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { type ArenaDevice, HANDED_IN, type Participant } from './arena-participants.ts';

/** The result of an arena. */
export interface ArenaResult {
  readonly devices: readonly DeviceResult[];
  /** The game's own measure of its state, before the first round and after each. */
  readonly measured: readonly number[];
  /** How much work was merged by then, in the game's unit. */
  readonly verified: readonly number[];
  readonly better: Metric['better'];
  /** Verdicts of honest judges on work of honest workers. */
  readonly honest: { readonly judged: number; readonly refused: number };
  /** By round: processor time of the work, of honest judges' checks of it, and, separately, of their checks of planted work. */
  readonly checking: readonly { readonly work_ms: number; readonly check_ms: number; readonly planted_ms: number }[];
  readonly events: number;
  /** The hash of the last state. */
  readonly model: string;
}

/** The pay and the cost of a device. */
export interface DeviceResult {
  readonly name: string;
  readonly role: ArenaDevice['role'];
  readonly adversary: string | null;
  readonly runtime: Runtime['class'];
  /** The stake that the rules give it; in an open run all have the same. */
  readonly stake: number;
  /** The number of its keys. All other fields are sums over them. */
  readonly keys: number;
  readonly shares: number;
  readonly forfeited: number;
  readonly submitted: number;
  readonly merged: number;
  readonly units: number;
  readonly cpu_ms: number;
  /** Refusals, verdicts and errors, by code. */
  readonly fates: Readonly<Record<string, number>>;
  /** The first error of the game on this device, in words. */
  readonly problem: string | null;
}

/** A device's account at the end, over all its identities. */
export function resultOf(run: RunState, device: ArenaDevice, everybody: readonly Participant[]): DeviceResult {
  const { name, role, adversary, runtime, stake = 1 } = device;
  const participants = everybody.filter((participant) => participant.device === device);
  const sum = (of: (participant: Participant) => number): number =>
    participants.reduce((all, participant) => all + of(participant), 0);
  // A participant that was not admitted is no peer of the run.
  const peer = (participant: Participant) => run.peers.get(participant.identity.id);
  const fates = new Map<string, number>();
  for (const participant of participants)
    for (const [fate, n] of participant.fates) fates.set(fate, (fates.get(fate) ?? 0) + n);
  fates.delete(HANDED_IN);
  return {
    ...{ name, role, adversary: adversary?.name ?? null, runtime: runtime.class, stake },
    keys: participants.length,
    shares: sum((participant) => run.shares.get(participant.identity.id) ?? 0),
    forfeited: sum((participant) => peer(participant)?.forfeited_shares ?? 0),
    submitted: sum((participant) => participant.fates.get(HANDED_IN) ?? 0),
    merged: sum((participant) => peer(participant)?.merged_submissions ?? 0),
    units: sum(({ cost }) => cost.units),
    cpu_ms: sum(({ cost }) => cost.cpu_ms),
    fates: Object.fromEntries(fates),
    problem: participants.find(({ problem }) => problem !== null)?.problem ?? null,
  };
}
