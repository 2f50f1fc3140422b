// A round opens: everybody who is here works on the present model.
import { z } from 'zod';
import { seededRandom } from '../../protocol/random.ts';
import { count, hash } from '../../protocol/schemas.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { countOpening, seatValidators } from '../rounds/eligible.ts';
import { boundFirstWork } from '../rounds/first-work.ts';
import { evenStages } from '../rounds/stages.ts';
import { mayStateShares } from '../shares/share-table.ts';
import { countStakes } from '../shares/stake.ts';
import { mayOpenRound, type RunState, workersNeeded } from '../state.ts';
import { v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/** By the hub. `attempt` counts the times this round was opened; its seed follows from the log, not from the hub. */
export const RoundOpenedSchema = z.strictObject({
  type: z.literal('round.opened'),
  ...v1,
  run: hash,
  round: count,
  attempt: count,
});
export type RoundOpened = z.infer<typeof RoundOpenedSchema>;

export const roundOpened = runEvent(RoundOpenedSchema, {
  by_hub: 'a round is opened',
  about: 'run',
  words: ({ round, attempt }) => `round ${round} opened${attempt > 0 ? `, attempt ${attempt + 1}` : ''}`,
  refusalOf: (_state, run, { body }) => refusalOfOpening(run, body),
  apply(state, run) {
    run.phase = 'working';
    run.opened_ms = state.time_ms;
    run.deadline_ms = state.time_ms + run.spec.round_ms;
    run.seed = roundSeed(run);
    Object.assign(run, { draw: null, replaced: false, silent: [], appeals: false });
    countStakes(run);
    countOpening(run);
    seatValidators(state, run);
    boundFirstWork(run);
    evenStages(state, run);
  },
});

function refusalOfOpening(run: RunState, { round, attempt }: RoundOpened): Refusal | null {
  if (run.phase !== 'gathering')
    return refuse('wrong-phase', `a round opens in phase gathering, the run is ${run.phase}`);
  if (round !== run.round || attempt !== run.attempt) {
    return refuse('wrong-round', `expected round ${run.round} attempt ${run.attempt}, got ${round} attempt ${attempt}`);
  }
  if (mayStateShares(run)) return refuse('statement-due', `the shares at model ${run.model} must be stated first`);
  if (mayOpenRound(run)) return null;
  return refuse('wrong-phase', `the round needs ${workersNeeded(run)} workers, ${run.attendance.workers} are here`);
}

export function roundSeed(run: RunState): string {
  const random = seededRandom('round', run.id, run.round, run.attempt, run.model);
  return Array.from({ length: 8 }, () => random.uint32().toString(16).padStart(8, '0')).join('');
}
