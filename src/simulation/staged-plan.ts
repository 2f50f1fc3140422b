// All choices for one history of a run in stages: devices, faults and their times.
import { type Random, seededRandom } from '../protocol/random.ts';
import type { Fault, FaultKind, PeerPlan, Plan } from './plan.ts';
import type { StagedShape } from './staged-setup.ts';

export interface StagedPlan extends Plan {
  readonly shape: StagedShape;
}

const KINDS: readonly FaultKind[] = [
  ...([
    'hub-crash',
    'hub-crash',
    'hub-stop',
    'slow-disk',
    'peer-crash',
    'peer-crash',
    'peer-power',
    'peer-power',
  ] as const),
  ...(['peer-leave', 'cut', 'cut', 'partition', 'partition', 'slow-link', 'lossy'] as const),
];
const MOST_FAULTS = 5;
const WITHIN_MS = 30_000;

const between = (random: Random, least: number, most: number): number => least + random.below(most - least + 1);
const oneOf = <T>(random: Random, choices: readonly T[]): T => choices[random.below(choices.length)];

/** The plan that follows from a seed. */
export function stagedPlanOf(seed: number): StagedPlan {
  const random = seededRandom('simulated stages', seed);
  const isCalm = seed % 4 === 0;
  const stages = between(random, 2, 3);
  const workers = stages + random.below(4);
  const peers = Array.from({ length: workers + between(random, 1, 2) }, (_, index) =>
    peerPlan(random, index, index < workers ? 'worker' : 'validator', isCalm),
  );
  // One history of four is without faults, on good lines: there all work has to be accepted and paid.
  const faults = Array.from(
    { length: isCalm ? 0 : 1 + random.below(MOST_FAULTS) },
    (): Fault => ({
      kind: oneOf(random, KINDS),
      at_ms: random.below(WITHIN_MS),
      duration_ms: oneOf(random, [0, 300, 2000, 7000, 17_000, 25_000]),
      peer: random.below(peers.length),
      by_ms: 0,
    }),
  ).sort((a, b) => a.at_ms - b.at_ms);
  return {
    ...{ seed, peers, faults, commit_ms: oneOf(random, [1, 4, 20]), commit_jitter_ms: oneOf(random, [0, 5, 40]) },
    has_journal: false,
    shape: { stages, inner_steps: between(random, 2, 3), micro_batches: between(random, 1, 3) },
    run: {
      ...{ rounds: between(random, 2, 3), round_ms: 120_000, judging_ms: 30_000, min_workers: stages },
      ...{ checkpoint_every: 1, steps: 0, tokens_per_step: 0, diverges: false, plain: true },
      ...{ shares_per_round: 1000, halving_rounds: 0, owner_permille: 0, validators_permille: 100 },
      ...{ keeps_recent: seed % 2 === 0, moves_shares: false, ended_at_ms: null },
    },
  };
}

function peerPlan(random: Random, index: number, role: PeerPlan['role'], isNear: boolean): PeerPlan {
  return {
    ...{ name: `${role}-${index}`, role },
    joins_ms: random.below(4) === 0 ? random.below(WITHIN_MS) : random.below(500),
    step_ms: role === 'worker' ? between(random, 10, 150) : between(random, 5, 20),
    ...{ latency_ms: oneOf(random, isNear ? [1, 5, 30] : [1, 5, 30, 100]), jitter_ms: oneOf(random, [0, 5, 50]) },
    bytes_per_ms: oneOf(random, isNear ? [500, 5000] : [20, 200, 5000]),
    ...{ skew_ms: oneOf(random, [0, 0, -3_600_000, 1500]), rate: oneOf(random, [1, 1, 1.01, 0.98]), lies_percent: 0 },
  };
}
