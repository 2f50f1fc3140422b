// A key is free, so one that came, did nothing and went leaves no trace in a run: it is forgotten, and blocks nobody.
//
// Joins are numbered so that each signed join and leave can be used once. Whoever is forgotten and comes again must not begin at 0, or anybody
// could send its old events once more. So a key that may be one of the forgotten, which a Bloom filter (Bloom 1970) says, begins at a number that
// none of them has used. It rises in two steps: the number that a key was told stays good while CORE_LIMITS.leaves_until_forgotten others
// leave, which is longer than a join is under way.
import { CORE_LIMITS } from '../limits.ts';
import type { Forgetting, PeerState, RunState } from '../state.ts';

export const nobodyForgotten = (): Forgetting => ({ leaves: 0, least_session: 0, next_session: 0, keys: null });

/** Each key sets some bits, whose numbers are digits of its own: with 20,000 keys one newcomer in 30,000 is taken for one of them. */
const DIGITS = 5;
const BITS_OF_A_KEY = 4;
const FILTER_BYTES = 16 ** DIGITS / 8;

function bitsOf(key: string): { readonly byte: number; readonly mask: number }[] {
  return Array.from({ length: BITS_OF_A_KEY }, (_, i) => {
    const bit = Number.parseInt(key.slice(i * DIGITS, (i + 1) * DIGITS), 16);
    return { byte: bit >> 3, mask: 1 << (bit & 7) };
  });
}

/** The sessions that the next join of a key that the run does not know may open: for whoever never came, 0. */
export function firstSessions(
  { forgetting }: RunState,
  key: string,
): { readonly least: number; readonly most: number } {
  const { keys, least_session, next_session } = forgetting;
  const came = keys !== null && bitsOf(key).every(({ byte, mask }) => keys[byte] & mask);
  return came ? { least: least_session, most: next_session } : { least: 0, most: 0 };
}

/** Whether a peer has done something that counts: work that was merged, a verdict, a measurement, or shares that it may lose. */
export function hasRecord(run: RunState, peer: PeerState): boolean {
  const { merged_submissions, judged, evaluated_rounds, plants_right, plants_wrong, forfeited_shares } = peer;
  if (merged_submissions > 0 || judged || evaluated_rounds !== null) return true;
  if (plants_right + plants_wrong + forfeited_shares > 0 || run.withheld.has(peer.id)) return true;
  return run.locks.some(({ device }) => device === peer.id);
}

/** Whether a peer is more than a free key: it is here, or has a record. */
export const isLasting = (run: RunState, peer: PeerState): boolean => peer.present || hasRecord(run, peer);

/** How many of a run's peers are here or have a record. */
export function countLasting(run: RunState): number {
  let count = 0;
  for (const peer of run.peers.values()) if (isLasting(run, peer)) count++;
  return count;
}

/** To be called when a peer has left: now and then forgets those who are gone and have no record. */
export function noteLeave(run: RunState, peer: PeerState): void {
  const { forgetting } = run;
  if (hasRecord(run, peer) || ++forgetting.leaves < CORE_LIMITS.leaves_until_forgotten) return;
  forgetting.leaves = 0;
  forgetting.least_session = forgetting.next_session;
  // Who is gone may still have work in the open round, or be named as a judge of some.
  const work = [...run.submissions.values()].flatMap(({ worker, judges }) => [worker, ...judges]);
  const named = new Set([...work, ...run.eligible]);
  for (const other of run.peers.values()) {
    if (named.has(other.id) || isLasting(run, other)) continue;
    if (other.joins > forgetting.least_session) {
      forgetting.next_session = Math.max(forgetting.next_session, other.joins);
      continue;
    }
    forgetting.keys ??= new Uint8Array(FILTER_BYTES);
    for (const { byte, mask } of bitsOf(other.id)) forgetting.keys[byte] |= mask;
    run.peers.delete(other.id);
  }
}
