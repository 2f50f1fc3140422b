// All choices for one simulated history: the devices, the run's settings, the faults and their times.
import type { Rules } from '../core/rules.ts';
import { type Random, seededRandom } from '../protocol/random.ts';

export interface PeerPlan {
  readonly name: string;
  readonly role: 'worker' | 'validator';
  readonly joins_ms: number;
  /** Time that one step, or one check, takes. */
  readonly step_ms: number;
  readonly latency_ms: number;
  readonly jitter_ms: number;
  readonly bytes_per_ms: number;
  readonly skew_ms: number;
  /** The speed of its clock; 1 is right. */
  readonly rate: number;
  /** The percentage of submissions that are made up. */
  readonly lies_percent: number;
  /** The stake that the rules give its account, if they name validators. */
  readonly stake?: number;
}

export interface RunPlan {
  readonly rounds: number;
  readonly round_ms: number;
  readonly judging_ms: number;
  readonly min_workers: number;
  readonly checkpoint_every: number;
  readonly steps: number;
  readonly tokens_per_step: number;
  /** Whether its loss only rises. */
  readonly diverges: boolean;
  /** Whether every peer merges all updates, without steps. */
  readonly plain: boolean;
  readonly shares_per_round: number;
  readonly halving_rounds: number;
  readonly owner_permille: number;
  readonly validators_permille: number;
  /** The other rules except the validators; by default those of judgedQuickly. */
  readonly rules?: Omit<Rules, 'emission' | 'validators'>;
  /** Whether the owner keeps only what is recent. */
  readonly keeps_recent: boolean;
  /** Whether validators lock and release their pay, and the owner pays out. */
  readonly moves_shares: boolean;
  /** When the owner ends the run, if it is not finished by then; null: never. */
  readonly ended_at_ms: number | null;
}

export type FaultKind =
  /** The hub's process ends at once, and is started again. */
  | 'hub-crash'
  /** The hub is asked to stop, and is started again. */
  | 'hub-stop'
  /** The hub's disk is slow. */
  | 'slow-disk'
  /** The hub's disk has no room for the log. */
  | 'full-disk'
  /** A peer's process ends at once, and is started again. */
  | 'peer-crash'
  /** A peer's machine loses power, and comes back. */
  | 'peer-power'
  /** A peer's owner wants the device back, and lends it again. */
  | 'peer-leave'
  /** A peer's connections break. */
  | 'cut'
  /** Nothing passes between a peer and the hub. */
  | 'partition'
  /** A peer's line is slow. */
  | 'slow-link'
  /** A peer's requests are lost now and then, on either way. */
  | 'lossy'
  /** Somebody sends events again that are in the log already. */
  | 'replay'
  /** The run's owner pauses it and lets it go on. */
  | 'pause'
  /** A device joins and leaves every second, and never works. */
  | 'flap'
  /** Somebody sets the clock of the hub's machine, forward or back. */
  | 'clock-set';

export interface Fault {
  readonly kind: FaultKind;
  readonly at_ms: number;
  readonly duration_ms: number;
  /** The peer that the fault concerns, if any. */
  readonly peer: number;
  /** By how much a clock is set. */
  readonly by_ms: number;
}

export interface Plan {
  readonly seed: number;
  readonly peers: readonly PeerPlan[];
  readonly run: RunPlan;
  readonly faults: readonly Fault[];
  readonly commit_ms: number;
  readonly commit_jitter_ms: number;
  readonly has_journal: boolean;
}

const KINDS: readonly FaultKind[] = [
  'hub-crash',
  'hub-crash',
  'hub-stop',
  'slow-disk',
  'peer-crash',
  'peer-power',
  'peer-leave',
  'cut',
  'cut',
  'partition',
  'slow-link',
  'lossy',
  'replay',
  'pause',
  'flap',
];

/** How far a clock is set: by a leap, a time zone, a battery that is empty. */
const CLOCK_SET_MS = [1500, 60_000, 3 * 3_600_000, 700 * 86_400_000] as const;

/** Faults begin within this time; afterwards the run must come to its end. */
export const FAULTS_WITHIN_MS = 30_000;

const between = (random: Random, least: number, most: number): number => least + random.below(most - least + 1);
const oneOf = <T>(random: Random, choices: readonly T[]): T => choices[random.below(choices.length)];

function peerPlan(seed: number, index: number, role: PeerPlan['role']): PeerPlan {
  const random = seededRandom('simulated peer', seed, index);
  return {
    name: `${role}-${index}`,
    role,
    joins_ms: random.below(3) === 0 ? random.below(FAULTS_WITHIN_MS) : random.below(500),
    // A validator that is too slow for the judging time delays a run for as long as it is present, which is known and no fault.
    step_ms: between(random, 50, role === 'worker' ? 900 : 400),
    latency_ms: oneOf(random, [1, 5, 30, 150]),
    jitter_ms: oneOf(random, [0, 5, 50]),
    bytes_per_ms: oneOf(random, [20, 200, 5000]),
    skew_ms: oneOf(random, [0, 0, -3_600_000, 86_400_000, 1500]),
    rate: oneOf(random, [1, 1, 1.01, 0.98]),
    lies_percent: oneOf(random, [0, 0, 0, 40]),
  };
}

/** In one history of seven the owner ends the run, often before its last round. */
function endOf(seed: number): number | null {
  return seed % 7 === 4 ? seededRandom('simulated end', seed).below(FAULTS_WITHIN_MS) : null;
}

/** In one history of three the hub's clock is set, once or twice. A random stream of its own keeps the other faults of a seed as they were. */
function clockFaults(seed: number): Fault[] {
  const random = seededRandom('simulated clock', seed);
  if (random.below(3) > 0) return [];
  return Array.from({ length: 1 + random.below(2) }, () => {
    const by_ms = oneOf(random, CLOCK_SET_MS) * oneOf(random, [-1, 1]);
    return { kind: 'clock-set', at_ms: random.below(FAULTS_WITHIN_MS), duration_ms: 0, peer: 0, by_ms };
  });
}

/** In one history of seven the hub's log is the copy of a journal of objects elsewhere, which loses requests and answers. */
const hasJournal = (seed: number): boolean => seed % 7 === 6;

/** In one history of six the hub's disk is full for a while. */
function fullDiskOf(seed: number): Fault[] {
  if (seed % 6 !== 5 || hasJournal(seed)) return [];
  const random = seededRandom('simulated full disk', seed);
  const duration_ms = oneOf(random, [300, 2000, 7000, 17_000]);
  return [{ kind: 'full-disk', at_ms: random.below(FAULTS_WITHIN_MS), duration_ms, peer: 0, by_ms: 0 }];
}

/** The number of additional rounds of a run that diverges: enough for the hub to halt it. */
const DIVERGING_ROUNDS = 4;

/** The plan that follows from a seed. */
export function planOf(seed: number): Plan {
  const random = seededRandom('simulation plan', seed);
  const workers = between(random, 1, 4);
  const validators = oneOf(random, [0, 1, 1, 2]);
  const peers = Array.from({ length: workers + validators }, (_, index) =>
    peerPlan(seed, index, index < workers ? 'worker' : 'validator'),
  );
  const owner_permille = oneOf(random, [0, 100, 333]);
  const diverges = seededRandom('simulated divergence', seed).below(6) === 0;
  const faults = Array.from({ length: random.below(8) }, (): Fault => {
    const kind = oneOf(random, KINDS);
    return {
      kind,
      at_ms: random.below(FAULTS_WITHIN_MS),
      duration_ms: oneOf(random, [0, 300, 2000, 7000, 17_000, 25_000]),
      peer: random.below(peers.length),
      by_ms: 0,
    };
  });
  faults.push(...clockFaults(seed));
  faults.push(...fullDiskOf(seed));
  faults.sort((a, b) => a.at_ms - b.at_ms);
  return {
    seed,
    peers,
    faults,
    commit_ms: oneOf(random, [1, 4, 20]),
    commit_jitter_ms: oneOf(random, [0, 5, 40]),
    has_journal: hasJournal(seed),
    run: {
      rounds: between(random, 2, 5) + (diverges ? DIVERGING_ROUNDS : 0),
      diverges,
      plain: seed % 4 === 0,
      round_ms: oneOf(random, [1500, 3000, 6000, 6000, 40_000]),
      judging_ms: oneOf(random, [2500, 4000]),
      min_workers: between(random, 1, Math.min(2, workers)),
      checkpoint_every: between(random, 1, 3),
      steps: between(random, 1, 8),
      tokens_per_step: between(random, 1, 97),
      shares_per_round: oneOf(random, [0, 1, 7, 1000, 999_983]),
      halving_rounds: oneOf(random, [0, 1, 2]),
      owner_permille,
      validators_permille: oneOf(random, [0, 77, 300]),
      keeps_recent: seed % 2 === 0,
      moves_shares: seed % 5 === 3,
      ended_at_ms: endOf(seed),
    },
  };
}

/** The secret key of somebody in a history. */
export const secretOf = (seed: number, who: string): Uint8Array => {
  const random = seededRandom('simulated secret', seed, who);
  return Uint8Array.from({ length: 32 }, () => random.below(256));
};
