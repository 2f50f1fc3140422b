// What a run's owner may do with it at any time: pause it, let it go on, end it before its rounds are over.
import { clearSubmissions } from './attendance.ts';
import type { EventBody, RunEnded, RunPaused, RunResumed } from './events.ts';
import { CORE_LIMITS } from './limits.ts';
import { type Refusal, refuse } from './refusal.ts';
import { freeStakes } from './stake.ts';
import type { RunState } from './state.ts';

type OwnersWord = RunPaused | RunResumed | RunEnded;

/** Whether an event drops the work of the open round: it is then neither merged nor refused. */
export const givesUpRound = (body: EventBody): body is RunPaused | RunEnded =>
  body.type === 'run.paused' || body.type === 'run.ended';

/** Whether this may be said of the run now, by its owner. */
export function refusalOfOwnersWord(run: RunState, author: string, body: OwnersWord): Refusal | null {
  if (author !== run.owner) return refuse('not-the-owner', `only the owner ${run.owner} may do this, got ${author}`);
  if (run.phase === 'finished') return refuse('wrong-phase', 'the run is finished');
  if (body.type === 'run.paused' && run.phase === 'paused') return refuse('wrong-phase', 'the run is paused already');
  if (body.type === 'run.resumed' && run.phase !== 'paused') {
    return refuse('wrong-phase', `expected a paused run, it is ${run.phase}`);
  }
  if (body.round === run.round && body.attempt === run.attempt) return null;
  const got = `round ${body.round} attempt ${body.attempt}`;
  return refuse('wrong-round', `expected round ${run.round} attempt ${run.attempt}, got ${got}`);
}

/** Pauses, resumes or ends; to be called only when `refusalOfOwnersWord` said null. What was merged, and paid for it, stays. */
export function applyOwnersWord(run: RunState, body: OwnersWord): void {
  if (body.type === 'run.resumed') {
    run.phase = 'gathering';
    return;
  }
  clearSubmissions(run);
  run.attempt++;
  run.phase = body.type === 'run.paused' ? 'paused' : 'finished';
  if (body.type === 'run.ended') freeStakes(run);
}

/** Whether somebody with so many unfinished runs may create another. */
export function refusalOfAnotherRun(unfinished_runs: number): Refusal | null {
  const most = CORE_LIMITS.unfinished_runs_per_owner;
  if (unfinished_runs < most) return null;
  const todo = 'end one of them first: potluck run end RUN';
  return refuse('too-many-runs', `an owner has at most ${most} unfinished runs on a hub; ${todo}`);
}
