// Appeal: a submission that its first judges did not all accept is judged again by every eligible validator, and each re-executes the work.
// Only the appeal takes anything from anybody. A validator that contradicted the jury is suspended, for a false alarm as for overlooking.

import { CORE_LIMITS } from '../limits.ts';
import { hasWithheld } from '../shares/balances.ts';
import { forfeitLast } from '../shares/payout.ts';
import type { NetworkState, RunState, Submission } from '../state.ts';
import { countOwed } from './attendance.ts';
import { eligibleHere, heardHere, suspend } from './eligible.ts';
import { judgementOf } from './judging.ts';
import { openDraw } from './panel.ts';

/** Whether a submission, whose first verdicts are revealed, must be judged again. */
function isDisputed(run: RunState, submission: Submission): boolean {
  const { verdicts, first, duties } = submission;
  if (first !== null || verdicts.size === 0) return false;
  const here = eligibleHere(run);
  // There is no further judge to ask.
  if (new Set([...here, ...verdicts.keys()]).size < 2) return false;
  const seats = Math.min(run.rules.judges, here.length);
  if (verdicts.size * 2 < seats) return true;
  const accepting = [...verdicts.values()].filter(({ accepted }) => accepted).length;
  if (accepting === verdicts.size) return false;
  if (accepting === 0 && verdicts.size > 1 && !hasBond(run, submission.worker)) return false;
  return !here.every((id) => verdicts.has(id) && duties.get(id) === 'all');
}

/** Whether a worker has anything to lose. If not, being refused by all of its first judges costs it nothing. */
function hasBond(run: RunState, worker: string): boolean {
  return run.peers.get(worker)!.consecutive_valid > 0 || hasWithheld(run, worker);
}

/** Begins the second judging where the first judges disagree; false where they do not. */
export function openAppeals(state: NetworkState, run: RunState): boolean {
  const disputed = [...run.submissions.values()].filter((submission) => isDisputed(run, submission));
  if (disputed.length === 0) return false;
  const heard = heardHere(run);
  const next = openDraw(state, run, heard.length > 0 ? heard : eligibleHere(run));
  for (const submission of run.submissions.values()) {
    const { verdicts } = submission;
    if (!disputed.includes(submission)) {
      // The submission is decided, so no judge of it is waited for.
      submission.judges = submission.judges.filter((id) => verdicts.has(id));
      continue;
    }
    submission.judges = next(submission, CORE_LIMITS.jury).sort();
    submission.first = verdicts;
    submission.duties = new Map([...submission.duties].filter(([id]) => submission.seals.has(id)));
    submission.seals = new Map();
    submission.verdicts = new Map();
  }
  run.phase = 'judging';
  run.judging_deadline_ms = 0;
  run.appeals = true;
  countOwed(run);
  return true;
}

/** Suspends each validator that contradicted a jury in the round being merged, and takes its pay of the round. Call it after the payout. */
export function settleAppeals(state: NetworkState, run: RunState): void {
  const wrong = new Set<string>();
  for (const submission of run.submissions.values()) {
    const { first, duties, verdicts } = submission;
    if (first === null) continue;
    const found = judgementOf(state, run, submission);
    for (const [id, { accepted }] of first) {
      // A judge that was not to repeat all of the work could not know.
      if (found === 'accepted' && !accepted) wrong.add(id);
      if (found === 'fraud' && accepted && duties.get(id) === 'all') wrong.add(id);
    }
    for (const [id, { accepted, fraud }] of verdicts) {
      if ((found === 'accepted' && fraud) || (found === 'fraud' && accepted)) wrong.add(id);
    }
  }
  suspend(state, run, wrong);
  for (const id of wrong) forfeitLast(run, run.peers.get(id)!);
}
