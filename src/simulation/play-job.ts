// One arena of `potluck play`: its devices, and the rules with which runs begin.

import type { PeerRole } from '../core/events/peer-joined.ts';
import type { Rules } from '../core/rules.ts';
import type { Runtime } from '../tensor/runtime.ts';
import type { Adversary } from './adversaries/adversary.ts';
import type { ArenaDevice } from './arena-participants.ts';

/** The number of devices of each role; `share` of them lie. */
export interface Crowd {
  readonly workers: number;
  readonly validators: number;
  readonly share: number;
  /** Thousandths of the stake that lying validators hold together; by default all validators hold the same stake. */
  readonly lying_stake?: number | undefined;
  /** Every peer that joins may validate; otherwise the rules name the validators and their stakes. */
  readonly open?: boolean;
}

/** The rules of a new run. */
export const ARENA_RULES: Rules = {
  emission: {
    shares_per_round: 1_000_000,
    halving_rounds: 0,
    owner_permille: 180,
    workers_permille: 410,
    validators_permille: 410,
  },
  judges: 3,
  withheld_rounds: 40,
  probation: 1,
  reexecute_permille: 50,
  notice_rounds: 5,
  validators: [],
};

/** How many of a role lie: at least one, and never all. */
export const liarsAmong = (count: number, share: number): number =>
  Math.max(1, Math.min(count - 1, Math.round(count * share)));

/**
 * The devices of an arena with some adversaries. In a role without adversaries, the places of lying workers stay empty, so
 * that the honest work is the same in every arena; honest devices fill the places of lying validators.
 */
export function crowdOf(
  { workers, validators, share, lying_stake, open = false }: Crowd,
  adversaries: readonly Adversary[],
  runtimeOf: (role: PeerRole, index: number) => Runtime,
): ArenaDevice[] {
  const participants = (role: PeerRole, count: number): ArenaDevice[] => {
    const playing = adversaries.filter(({ roles }) => roles.includes(role));
    const staked = role === 'validator' && lying_stake !== undefined;
    const liars = liarsAmong(count, staked ? lying_stake / 1000 : share);
    const honest = role === 'worker' || playing.length > 0 ? count - liars : count;
    // Whole numbers, so that the last `liars` devices have exactly the requested part of the stake.
    const stakeOf = (index: number): number => {
      if (!staked) return 1;
      return index < count - liars ? (1000 - lying_stake) * liars : lying_stake * (count - liars);
    };
    const device = (index: number, adversary: Adversary | null): ArenaDevice => ({
      name: `${adversary?.name ?? 'honest'} ${role} ${index + 1}`,
      place: `${role} ${index + 1}`,
      ...{ role, adversary, runtime: runtimeOf(role, index) },
      ...(role === 'validator' && !open && { stake: stakeOf(index) }),
    });
    return [
      ...Array.from({ length: honest }, (_, i) => device(i, null)),
      ...(playing.length === 0
        ? []
        : Array.from({ length: liars }, (_, i) => device(honest + i, playing[i % playing.length]))),
    ];
  };
  return [...participants('worker', workers), ...participants('validator', validators)];
}
