// Counts of who is present and who has answered, updated on each change: whether a round may go on is asked after every event, with thousands of peers.
import type { Attendance, PeerState, RunState, Submission } from '../state.ts';

export const nobody = (): Attendance => ({ workers: 0, handed_in: 0, seals_due: 0, verdicts_due: 0 });

/** A peer comes (1) or goes (-1). Its role is the one it has, or had, while present. */
export function countPeer(run: RunState, peer: PeerState, change: 1 | -1): void {
  const { attendance } = run;
  if (peer.role === 'worker') {
    attendance.workers += change;
    if (peer.handed_in) attendance.handed_in += change;
    return;
  }
  run.validators = run.validators.filter((id) => id !== peer.id);
  if (change === 1) run.validators = [...run.validators, peer.id].sort();
}

/** Recounts the verdicts that judges owe, after validators came or went. */
export function countOwed(run: RunState): void {
  run.attendance.seals_due = 0;
  run.attendance.verdicts_due = 0;
  for (const { judges, seals, verdicts } of run.submissions.values()) {
    for (const id of judges) {
      if (!run.validators.includes(id)) continue;
      if (!seals.has(id)) run.attendance.seals_due++;
      else if (!verdicts.has(id)) run.attendance.verdicts_due++;
    }
  }
}

/** A worker (who may be absent by now) has submitted; none of its judges, who are all present, has answered yet. */
export function countSubmission(run: RunState, worker: PeerState, submission: Submission): void {
  worker.handed_in = true;
  if (worker.present && worker.role === 'worker') run.attendance.handed_in++;
  run.attendance.seals_due += submission.judges.length;
}

/** A present judge has committed (sealed) its verdict. */
export function countSeal(run: RunState): void {
  run.attendance.seals_due--;
  run.attendance.verdicts_due++;
}

/** A validator (who may be absent by now) has revealed its verdict. */
export function countVerdict(run: RunState, validator: PeerState): void {
  if (validator.present && validator.role === 'validator') run.attendance.verdicts_due--;
}

/** The round is over, and its submissions are removed. */
export function clearSubmissions(run: RunState): void {
  for (const { worker } of run.submissions.values()) run.peers.get(worker)!.handed_in = false;
  run.submissions.clear();
  run.attendance.handed_in = 0;
  run.attendance.seals_due = 0;
  run.attendance.verdicts_due = 0;
}
