// A key is free, so one that came, did nothing and went leaves no trace in a run: it is forgotten, and blocks nobody.
//
// Joins are numbered so that each signed join and leave can be used once. Whoever is forgotten would begin again at 0, and anybody could
// send its old events once more. So newcomers begin at a number that none of the forgotten has used, and it rises in two steps: the number
// that a newcomer was told stays good while CORE_LIMITS.leaves_until_forgotten others leave, which is longer than a join is under way.
import { CORE_LIMITS } from './limits.ts';
import type { PeerState, RunState } from './state.ts';

/** What a run remembers of those whom it has forgotten. */
export interface Forgetting {
  /** How many without a record have left since the last look. */
  leaves: number;
  /** Whoever is forgotten has used only sessions below this one. */
  least_session: number;
  /** The session that the first join of a newcomer opens; those from `least_session` on are taken too. */
  newcomer_session: number;
}

export const nobodyForgotten = (): Forgetting => ({ leaves: 0, least_session: 0, newcomer_session: 0 });

/** Whether a peer has done something that counts: work that was merged, a verdict, a measurement, or shares that it may lose. */
export function hasRecord(run: RunState, peer: PeerState): boolean {
  const { merged_submissions, judged, evaluated_rounds, plants_right, plants_wrong, forfeited_shares } = peer;
  if (merged_submissions > 0 || judged || evaluated_rounds !== null) return true;
  if (plants_right + plants_wrong + forfeited_shares > 0 || run.withheld.has(peer.id)) return true;
  return run.locks.some(({ device }) => device === peer.id);
}

/** How many of a run's peers are here or have a record. */
export function countLasting(run: RunState): number {
  let count = 0;
  for (const peer of run.peers.values()) if (peer.present || hasRecord(run, peer)) count++;
  return count;
}

/** To be called when a peer has left: now and then forgets those who are gone and have no record. */
export function noteLeave(run: RunState, peer: PeerState): void {
  const { forgetting } = run;
  if (hasRecord(run, peer) || ++forgetting.leaves < CORE_LIMITS.leaves_until_forgotten) return;
  forgetting.leaves = 0;
  forgetting.least_session = forgetting.newcomer_session;
  // Who is gone may still have work in the open round, or be named as a judge of some.
  const named = new Set([...run.submissions.values()].flatMap(({ worker, judges }) => [worker, ...judges]));
  for (const other of run.peers.values()) {
    if (other.present || named.has(other.id) || hasRecord(run, other)) continue;
    if (other.joins <= forgetting.least_session) run.peers.delete(other.id);
    else forgetting.newcomer_session = Math.max(forgetting.newcomer_session, other.joins);
  }
}
