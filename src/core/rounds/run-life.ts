// What a run's owner may do at any time: pause it, resume it, end it before its rounds are over. An abandoned run may be ended by its hub.

import type { RunEnded } from '../events/run-ended.ts';
import type { RunPaused } from '../events/run-paused.ts';
import type { RunResumed } from '../events/run-resumed.ts';
import type { EventBody } from '../events.ts';
import { CORE_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { freeStakes } from '../shares/stake.ts';
import type { NetworkState, RunState } from '../state.ts';
import { abandonedFrom } from './abandoned.ts';
import { clearSubmissions } from './attendance.ts';
import { forgetDecided } from './contest.ts';
import { endWork } from './deadlines.ts';
import { notIdle } from './idle-rounds.ts';

type OwnersWord = RunPaused | RunResumed | RunEnded;

/** Whether an event drops the work of the open round: it is then neither merged nor refused. */
export const givesUpRound = (body: EventBody): body is RunPaused | RunEnded =>
  (body.type === 'run.paused' || body.type === 'run.ended') && body.version === 1;

/** A round is open in these phases. */
const isOpen = ({ phase }: RunState): boolean => ['working', 'judging', 'revealing', 'merging'].includes(phase);

/** Whether the owner may pause, resume or end the run now. The hub, too, may end a run that everybody has abandoned. */
export function refusalOfOwnersWord(
  { hub, time_ms }: NetworkState,
  run: RunState,
  author: string,
  body: OwnersWord,
): Refusal | null {
  const isForsaken = author === hub && body.type === 'run.ended' && time_ms >= abandonedFrom(run);
  if (author !== run.owner && !isForsaken)
    return refuse('not-the-owner', `only the owner ${run.owner} may do this, got ${author}`);
  if (run.phase === 'finished') return refuse('wrong-phase', 'the run is finished');
  if (body.type === 'run.paused' && run.phase === 'paused') return refuse('wrong-phase', 'the run is paused already');
  if (body.type === 'run.resumed' && run.phase !== 'paused') {
    const pausing = run.closing === 'paused' ? `, and is paused when round ${run.round} is merged` : '';
    return refuse('wrong-phase', `expected a paused run, it is ${run.phase}${pausing}`);
  }
  // An owner that cannot wait for the merge may still drop the round, and one that pauses may still end the run.
  const said = body.type === 'run.paused' ? run.closing !== null : run.closing === 'ended';
  if (body.type !== 'run.resumed' && body.version === 2 && said) {
    return refuse('wrong-phase', `the run is ${run.closing} already, as soon as round ${run.round} is merged`);
  }
  if (body.round === run.round && body.attempt === run.attempt) return null;
  const got = `round ${body.round} attempt ${body.attempt}`;
  return refuse('wrong-round', `expected round ${run.round} attempt ${run.attempt}, got ${got}`);
}

/** Pauses, resumes or ends; call it only after `refusalOfOwnersWord` returned null. What was merged and paid stays. */
export function applyOwnersWord(run: RunState, body: OwnersWord): void {
  if (body.type === 'run.resumed') {
    Object.assign(run, { phase: 'gathering', halted: null, leaving: null, idle: notIdle(), watches: new Map() });
    return;
  }
  run.closing = body.type === 'run.paused' ? 'paused' : 'ended';
  if (body.version === 2 && isOpen(run)) {
    // Workers hear of it and submit what they have done; the grace period of judging waits for them.
    if (run.phase === 'working') endWork(run);
    return;
  }
  clearSubmissions(run);
  run.attempt++;
  closeRound(run);
}

/** No round is open any more, so what the owner has asked for happens now. */
export function closeRound(run: RunState): void {
  if (run.closing === null) return;
  if (run.phase !== 'finished') run.phase = run.closing === 'paused' ? 'paused' : 'finished';
  run.closing = null;
  if (run.phase !== 'finished') return;
  run.leaving = null;
  freeStakes(run);
  forgetDecided(run);
}

/** Whether an owner with so many unfinished runs may create another. */
export function refusalOfAnotherRun(unfinished_runs: number): Refusal | null {
  const most = CORE_LIMITS.unfinished_runs_per_owner;
  if (unfinished_runs < most) return null;
  const todo = 'end one of them first with "potluck run end RUN"';
  return refuse('too-many-runs', `an owner has at most ${most} unfinished runs on a hub; ${todo}`);
}
