// The devices of a run with a cartel, their machines, and the run's settings, which are those of `run create`.
import { trainingFor } from '../owner/run-settings.ts';
import { seededRandom } from '../protocol/random.ts';
import type { PeerPlan, Plan } from './plan.ts';

/** The number of devices of each kind. */
export interface Roster {
  readonly honest_workers: number;
  readonly lying_workers: number;
  readonly honest_validators: number;
  readonly lying_validators: number;
  /** Liars that join as validators after the run has begun. */
  readonly ghosts: number;
  /** Whether the rules name the validators, all with the same stake; otherwise validators that stay may judge. */
  readonly named: boolean;
}

const STEPS = 30;
/** A worker's step takes 0.3 to 0.5 s, so that a round's work takes 9 to 15 s of at most 30; a validator's machine is twice as fast. */
const STEP_MS = { worker: [300, 500], validator: [150, 250] } as const;
/** Workers join after all validators, so that no validator judges alone in the first seconds of a run. */
const JOINS_MS = { worker: 2000, validator: 0, ghost: 10_000 } as const;
const JOINS_WITHIN_MS = 500;
const STAKE = 10_000_000;
/** The part of all stake that named liars hold. */
const LYING_STAKE = 0.32;
const LIAR = 'liar';

export const isLiar = ({ name }: Pick<PeerPlan, 'name'>): boolean => name.startsWith(LIAR);

export function planOfRoster(roster: Roster, rounds: number, seed: number): Plan {
  const { schedule } = trainingFor({
    ...{ rounds, round_seconds: 30, steps: STEPS, batch: 12, context: 64, learning_rate: 1e-3 },
    min_workers: roster.honest_workers,
  });
  const { emission, validators: _, ...rules } = schedule.rules;
  const devices = (role: PeerPlan['role'], lies: boolean, count: number): PeerPlan[] =>
    Array.from({ length: count }, (_, i) => {
      const device = deviceOf(seed, `${lies ? LIAR : 'honest'}-${role}-${i}`, role);
      if (!roster.named || role !== 'validator') return device;
      const { honest_validators, lying_validators } = roster;
      const part = (LYING_STAKE / (1 - LYING_STAKE)) * (honest_validators / lying_validators);
      return { ...device, stake: lies ? Math.floor(part * STAKE) : STAKE };
    });
  const ghosts = Array.from({ length: roster.ghosts }, (_, i) => ({
    ...deviceOf(seed, `${LIAR}-ghost-${i}`, 'validator'),
    joins_ms: JOINS_MS.ghost,
  }));
  return {
    seed,
    peers: [
      ...devices('validator', false, roster.honest_validators),
      ...devices('validator', true, roster.lying_validators),
      ...devices('worker', false, roster.honest_workers),
      ...devices('worker', true, roster.lying_workers),
      ...ghosts,
    ],
    faults: [],
    ...{ commit_ms: 4, commit_jitter_ms: 4, has_journal: false },
    run: {
      ...{ rounds, round_ms: schedule.round_ms, judging_ms: schedule.judging_ms, min_workers: schedule.min_workers },
      ...{
        checkpoint_every: schedule.checkpoint_every,
        steps: STEPS,
        tokens_per_step: 12 * 64,
        diverges: false,
        plain: false,
      },
      ...emission,
      rules,
      ...{ keeps_recent: true, moves_shares: false, ended_at_ms: null },
    },
  };
}

/** A device with an ordinary connection; its name and the seed decide its properties. */
export function deviceOf(seed: number, name: string, role: PeerPlan['role']): PeerPlan {
  const random = seededRandom('cartel device', seed, name);
  const [least, most] = STEP_MS[role];
  return {
    ...{ name, role, joins_ms: JOINS_MS[role] + random.below(JOINS_WITHIN_MS) },
    step_ms: least + random.below(most - least + 1),
    ...{ latency_ms: 20 + random.below(40), jitter_ms: 10, bytes_per_ms: 5000, skew_ms: 0, rate: 1, lies_percent: 0 },
  };
}
