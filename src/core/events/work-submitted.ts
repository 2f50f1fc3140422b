// A worker hands in what it learned in a round.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { CORE_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { countSubmission } from '../rounds/attendance.ts';
import { mostAmount } from '../rounds/first-work.ts';
import { isListOpen } from '../rounds/panel.ts';
import type { RunState, Submission } from '../state.ts';
import { measures, refusalOfNumbers, SeenHeadSchema, time_ms, v2 } from './fields.ts';
import { type Logged, runEvent } from './kind.ts';

/** By a worker: its work of one round, durably uploaded before. `base` is the model that it started from. */
export const WorkSubmittedSchema = z.strictObject({
  type: z.literal('work.submitted'),
  ...v2,
  run: hash,
  round: count,
  attempt: count,
  base: hash,
  work: hash,
  size_bytes: z.int().min(1),
  /** How much it is, in the run's unit: what is paid, and what it weighs in the merge. */
  amount: z.int().min(1).max(CORE_LIMITS.amount),
  /** In a run whose model is cut into stages: the one that it is of, so that a worker that was moved meanwhile is told, not blamed. */
  stage: count.max(CORE_LIMITS.stages - 1).optional(),
  /** What its worker says of it, as the run's game names it. */
  numbers: measures,
  /** Any hash; that of a planted submission is opened later. */
  pledge: hash,
  /** When the worker heard that the round was open, by its own clock: audits hold the hub's ticks against it. */
  seen_ms: time_ms.optional(),
  seen_head: SeenHeadSchema.optional(),
});
export type WorkSubmitted = z.infer<typeof WorkSubmittedSchema>;

export const workSubmitted = runEvent(WorkSubmittedSchema, {
  about: 'work',
  blobs: ({ work }) => [work],
  words({ run, amount, numbers, size_bytes }, who, say) {
    const told = say.measures(numbers);
    return `${who} handed in ${say.whole(amount)} ${say.unit(run)}, in ${say.bytes(size_bytes)}${told && `: ${told}`}`;
  },
  refusalOf: (_state, run, event) => refusalOfWork(run, event),
  apply(_state, run, { id, author: worker, body }) {
    const none = { judges: [], first: null, duties: new Map(), seals: new Map(), verdicts: new Map() };
    const submission: Submission = { id, worker, body, ...none };
    run.submissions.set(id, submission);
    countSubmission(run, run.peers.get(worker)!, submission);
    run.submissions_total++;
    run.bytes_submitted += body.size_bytes;
  },
});

const partOf = (stage: number | undefined): string => (stage === undefined ? 'the whole model' : `stage ${stage}`);

function refusalOfWork(run: RunState, { author, body }: Logged<WorkSubmitted>): Refusal | null {
  if (run.peers.get(author)?.role !== 'worker') return refuse('not-a-worker', `${author} has not joined as a worker`);
  // Work that is a little late is still taken, until the list is closed: a late worker is a worker.
  if (run.phase !== 'working' && !(run.phase === 'judging' && isListOpen(run))) {
    return refuse('wrong-phase', `work is taken until the judges of a round are drawn, the run is ${run.phase}`);
  }
  if (body.round !== run.round || body.attempt !== run.attempt) {
    return refuse(
      'wrong-round',
      `expected work of round ${run.round} attempt ${run.attempt}, got round ${body.round} attempt ${body.attempt}`,
    );
  }
  if (body.base !== run.model) return refuse('wrong-model', `expected work on model ${run.model}, got ${body.base}`);
  if (run.peers.get(author)!.handed_in) return refuse('already-submitted', `${author} has handed in for this round`);
  const stage = run.peers.get(author)!.stage ?? undefined;
  if (body.stage !== stage) {
    return refuse('wrong-stage', `expected work of ${partOf(stage)}, got work of ${partOf(body.stage)}`);
  }
  if (run.merged_amount > CORE_LIMITS.merged_amount) {
    return refuse(
      'run-full',
      `no more is counted after ${CORE_LIMITS.merged_amount}, and ${run.merged_amount} is merged`,
    );
  }
  const named = refusalOfNumbers(body.numbers, run.spec.numbers.work);
  if (named) return named;
  const { unit } = run.spec;
  const most = mostAmount(run, author);
  if (most === null || body.amount <= most) return null;
  const expected = `${author} has little to lose in this run yet: expected work of at most ${most} ${unit}`;
  return refuse('first-work-too-long', `${expected}, got ${body.amount}`);
}
