// A run begins: its game, its first model, its rules.
import { z } from 'zod';
import { MetricsSchema, NumbersSchema, UnitSchema } from '../../protocol/measures.ts';
import { hash, oneLine, permille } from '../../protocol/schemas.ts';
import { CORE_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { nobody } from '../rounds/attendance.ts';
import { nobodyForgotten } from '../rounds/forgetting.ts';
import { notIdle } from '../rounds/idle-rounds.ts';
import { refusalOfAnotherRun } from '../rounds/run-life.ts';
import { emptyStages } from '../rounds/stages.ts';
import { RulesSchema } from '../rules.ts';
import { lineageOf, refusalOfLineage } from '../shares/lineage.ts';
import { accountOf, type Lineage, type NetworkState, type RunState } from '../state.ts';
import { duration_ms, name, time_ms, v3 } from './fields.ts';
import { type Logged, networkEvent } from './kind.ts';

/**
 * A run of the same log whose model this one starts from: the last whose shares are stated. So many thousandths of each
 * round's shares flow to who held it; no later rule can change that.
 */
const AncestorSchema = z.strictObject({
  run: hash,
  merged_rounds: z.int().min(1),
  model: hash,
  royalty_permille: permille,
});

/** By the run's owner. The event's id is the run's id. `params` and `model` name blobs: the game's settings and the first model. */
export const RunCreatedSchema = z.strictObject({
  type: z.literal('run.created'),
  ...v3,
  /** The hub in whose log it begins. Without it whoever reads one log may begin the run once more in another. */
  hub: hash.optional(),
  name,
  game: oneLine(40),
  /** The game's words: what work is counted and paid in, what its states are measured by, what numbers come with work and verdicts. */
  unit: UnitSchema,
  metrics: MetricsSchema,
  numbers: NumbersSchema,
  params: hash,
  /** A blob with the game's file as JavaScript that imports `potluck/game` alone: whoever agrees to this hash can run it. */
  game_file: hash.optional(),
  model: hash,
  rounds: z.int().min(1).max(CORE_LIMITS.rounds),
  round_ms: duration_ms,
  judging_ms: duration_ms,
  /** How many workers a round waits for before it opens (only before it opens). */
  min_workers: z.int().min(1).max(1000),
  /** A full copy of the model is kept every so many merged rounds; with stages, after each. */
  checkpoint_every: z.int().min(1).max(1000),
  rules: RulesSchema,
  /** Into how many stages the game cuts its model; missing: it does not. Each worker is given one of them (core/rounds/stages.ts). */
  stages: z.int().min(2).max(CORE_LIMITS.stages).optional(),
  /**
   * Goes with `stages`: no account but the owner's is given all of them within so many merged rounds (core/rounds/held-stages.ts). Missing:
   * anybody may get each.
   */
  apart_rounds: z.int().min(1).max(CORE_LIMITS.apart_rounds).optional(),
  ancestor: AncestorSchema.optional(),
  /** Without it every blob is kept, and every model version can be computed again by anybody. */
  keep: z.literal('recent').optional(),
  created_ms: time_ms,
});
export type RunCreated = z.infer<typeof RunCreatedSchema>;

export const runCreated = networkEvent(RunCreatedSchema, {
  about: 'run',
  blobs: ({ params, game_file, model }) => [params, ...(game_file ? [game_file] : []), model],
  words: ({ name, rounds, game }, who, say) =>
    `${who} started the run “${say.quoted(name)}”: ${say.count(rounds, 'round')} of “${game}”`,
  refusalOf: refusalOfRun,
  apply(state, event) {
    state.runs.set(event.id, newRun(event, lineageOf(state, event.body), state.events));
  },
});

/** Why no other run of this account may be in the log now: those that are on their way count, and what is over costs nobody anything. */
export function refusalOfPlace(state: NetworkState, owner: string): Refusal | null {
  const going = [...state.runs.values()].filter((run) => run.phase !== 'finished').map((run) => run.owner);
  const owners = [...going, ...[...state.arriving.values()].map(({ by }) => by)];
  if (owners.length >= CORE_LIMITS.runs)
    return refuse('too-many-runs', `a hub has at most ${CORE_LIMITS.runs} unfinished runs`);
  const account = accountOf(state, owner);
  return refusalOfAnotherRun(owners.filter((one) => accountOf(state, one) === account).length);
}

function refusalOfRun(state: NetworkState, { id, author, body }: Logged<RunCreated>): Refusal | null {
  if (state.runs.has(id) || state.arriving.has(id)) return refuse('run-exists', `run ${id} is already in the log`);
  if (body.hub !== undefined && body.hub !== state.hub) {
    return refuse('wrong-hub', `the run begins in the log of ${body.hub}, this is the log of ${state.hub}`);
  }
  return refusalOfPlace(state, author) ?? refusalOfLineage(state, body) ?? refusalOfStages(body);
}

/** Who holds one stage cannot merge the others, so every model of a run in stages is stored whole. */
export function refusalOfStages({ stages, checkpoint_every, apart_rounds }: RunCreated): Refusal | null {
  if (stages === undefined && apart_rounds !== undefined) {
    return refuse(
      'wrong-stage',
      `a run without stages keeps none apart: expected no apart_rounds, got ${apart_rounds}`,
    );
  }
  if (stages === undefined || checkpoint_every === 1) return null;
  return refuse(
    'wrong-checkpoints',
    `a run in stages keeps every merged model whole: expected checkpoint_every 1, got ${checkpoint_every}`,
  );
}

/** A run before its first round. `size`: of the log, with the event that brings it. */
export function newRun(
  { id, author, body: spec }: Logged<RunCreated>,
  lineage: Lineage | null,
  size: number,
): RunState {
  return {
    id,
    owner: author,
    spec,
    entry: size - 1,
    rules: spec.rules,
    pending_rules: null,
    proposals: 0,
    phase: 'gathering',
    closing: null,
    halted: null,
    ...{ leaving: null, moved: null, moves: 0 },
    idle: notIdle(),
    watches: new Map(),
    round: 0,
    attempt: 0,
    seed: '',
    ...{ eligible: [], first_amount: null, draw: null, replaced: false, silent: [], appeals: false },
    opened_ms: 0,
    deadline_ms: 0,
    grace_deadline_ms: 0,
    judging_deadline_ms: 0,
    reveal_deadline_ms: 0,
    model: spec.model,
    checkpoint: { merged_rounds: 0, model: spec.model, rest: null },
    recent: [],
    submissions: new Map(),
    peers: new Map(),
    forgetting: nobodyForgotten(),
    attendance: nobody(),
    stage_workers: emptyStages(spec.stages),
    empty_since_ms: 0,
    validators: [],
    withheld: new Map(),
    locks: [],
    staked: new Map(),
    stake_changes: new Map(),
    settled: new Map(),
    settlements: 0,
    balances_since: size,
    bonds: [],
    last_judged: new Map(),
    decided: new Map(),
    contests: new Map(),
    shares: new Map(),
    unearned_shares: 0,
    emitted_shares: 0,
    amounts: new Map(),
    stated_rounds: 0,
    stated: null,
    lineage,
    merged_amount: 0,
    submissions_total: 0,
    bytes_submitted: 0,
    evaluation: null,
    first_evaluation: null,
    serving: { margins: new Map(), published: 0 },
  };
}
