// The settings of a run whose owner states only the essentials: `run create` and the demo take the rest from here.
import type { Rules } from '../core/rules.ts';
import type { RoundedDtype } from '../model/dtypes.ts';
import type { BoundaryInput } from '../model/pipeline/boundary.ts';
import type { MergeRule } from '../training/sparse.ts';
import type { NewRun } from './owner.ts';

export interface Essentials {
  readonly rounds: number;
  readonly round_seconds: number;
  readonly steps: number;
  readonly batch: number;
  readonly context: number;
  readonly learning_rate: number;
  readonly min_workers: number;
  /** Which updates are merged; all of them where missing. docs/security.md shows how well each choice resists attacks. */
  readonly merge_rule?: MergeRule;
  /** What the model is kept and sent in; float32 where missing. */
  readonly weights?: RoundedDtype;
  /** Into how many stages the model is cut, so that no device needs all of it; missing: into none. */
  readonly stages?: number;
  /** Of how many micro-batches a stage's step is; goes with stages. */
  readonly micro_batches?: number;
  /** How what goes from stage to stage is coded; float32 where missing. */
  readonly boundary?: BoundaryInput;
  /** The accounts whose validators judge, with equal stake; where missing, any validator that stays long enough. */
  readonly validators?: readonly string[];
}

/** How often a whole model is stored: a new peer fetches at most as many merges. */
const CHECKPOINT_EVERY = 10;
/** Judging a submission takes a few forward passes: this is long for a validator and short for people. */
const JUDGING_MS = 20_000;
/** The usual schedule of a small run: a twentieth of it is warm-up, and the rate ends at a tenth. */
const WARMUP_PART = 0.05;
const LAST_RATE_PART = 0.1;

/** A million shares a round, divided as the largest of today's networks does: 18 % owner, 41 % workers, 41 % validators. */
const EMISSION: Rules['emission'] = {
  shares_per_round: 1_000_000,
  halving_rounds: 0,
  owner_permille: 180,
  workers_permille: 410,
  validators_permille: 410,
};

/** The stake of a validator that its owner names: as much as locking what ten rounds promise. */
const NAMED_STAKE = 10 * EMISSION.shares_per_round;

/** The rules that a run starts with; its owner may change them with notice. docs/security.md has the arithmetic. */
const RULES: Rules = {
  emission: EMISSION,
  judges: 3,
  withheld_rounds: 40,
  probation: 1,
  reexecute_permille: 50,
  notice_rounds: 5,
  validators: [],
};

export function trainingFor(essentials: Essentials): Pick<NewRun, 'training' | 'schedule'> {
  const { rounds, round_seconds, steps, batch, context, learning_rate, min_workers, merge_rule, weights } = essentials;
  const { stages, micro_batches, boundary } = essentials;
  return {
    training: {
      batch,
      context,
      inner_steps: steps,
      learning_rate,
      min_learning_rate: learning_rate * LAST_RATE_PART,
      warmup_steps: Math.ceil(rounds * steps * WARMUP_PART),
      sparse: { ...(merge_rule && { merge_rule }), ...(weights && { weights }) },
      ...(stages !== undefined && {
        stages,
        ...(micro_batches !== undefined && { micro_batches }),
        ...(boundary && { boundary }),
      }),
    },
    schedule: {
      rounds,
      round_ms: Math.round(round_seconds * 1000),
      judging_ms: JUDGING_MS,
      min_workers,
      // Who has one stage cannot merge the others, so a model in stages is stored whole after each round.
      checkpoint_every: stages === undefined ? CHECKPOINT_EVERY : 1,
      rules: {
        ...RULES,
        validators: (essentials.validators ?? []).map((account) => ({ account, stake: NAMED_STAKE })),
      },
    },
  };
}
