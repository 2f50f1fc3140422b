// Who is here and who has answered, counted as it changes: whether a round may go on is asked after every event, also with thousands of peers.
import type { PeerState, RunState } from './state.ts';

/** Counts over a run's present peers. Each is implied by peers and submissions; attendance.test.ts holds them together. */
export interface Attendance {
  workers: number;
  validators: number;
  /** Present workers whose work of the open round is in the log. */
  handed_in: number;
  /** Verdicts that present validators have not given yet on the open round's submissions. */
  verdicts_due: number;
}

export const nobody = (): Attendance => ({ workers: 0, validators: 0, handed_in: 0, verdicts_due: 0 });

/** A peer comes (1) or goes (-1). Its role is the one that it has, or had, while it is here. */
export function countPeer(run: RunState, peer: PeerState, change: 1 | -1): void {
  const { attendance } = run;
  if (peer.role === 'worker') {
    attendance.workers += change;
    if (peer.handed_in) attendance.handed_in += change;
    return;
  }
  attendance.validators += change;
  for (const { verdicts } of run.submissions.values()) if (!verdicts.has(peer.id)) attendance.verdicts_due += change;
}

/** A worker, who may have gone since, has handed in; nobody has judged it yet. */
export function countSubmission(run: RunState, worker: PeerState): void {
  worker.handed_in = true;
  if (worker.present && worker.role === 'worker') run.attendance.handed_in++;
  run.attendance.verdicts_due += run.attendance.validators;
}

/** A validator, who may have gone since, has judged. */
export function countVerdict(run: RunState, validator: PeerState): void {
  if (validator.present && validator.role === 'validator') run.attendance.verdicts_due--;
}

/** The round is over: its submissions are put away. */
export function clearSubmissions(run: RunState): void {
  for (const { worker } of run.submissions.values()) run.peers.get(worker)!.handed_in = false;
  run.submissions.clear();
  run.attendance.handed_in = 0;
  run.attendance.verdicts_due = 0;
}
