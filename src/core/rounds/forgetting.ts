// A run forgets keys that came, did nothing and left. Keys cost nothing, so such keys must not block others.
//
// Joins are numbered, so that each signed join and leave can be used once. A forgotten key that returns must not start at 0, because anybody
// could then replay its old events. So a key that a Bloom filter (Bloom 1970) takes for a forgotten one starts at a number that none of the
// forgotten has used. That number rises in two steps: the number that a key was told stays valid while CORE_LIMITS.leaves_until_forgotten
// others leave, which takes longer than a join.
import { CORE_LIMITS } from '../limits.ts';
import type { Forgetting, PeerState, RunState } from '../state.ts';

export const nobodyForgotten = (): Forgetting => ({ leaves: 0, least_session: 0, next_session: 0, keys: null });

/** Each key sets some bits, taken from its own digits. With 20,000 forgotten keys, one newcomer in 30,000 is taken for one of them. */
const DIGITS = 5;
const BITS_OF_A_KEY = 4;
/** The size of the filter of a run's forgotten keys. */
export const FILTER_BYTES = 16 ** DIGITS / 8;

function bitsOf(key: string): { readonly byte: number; readonly mask: number }[] {
  return Array.from({ length: BITS_OF_A_KEY }, (_, i) => {
    const bit = Number.parseInt(key.slice(i * DIGITS, (i + 1) * DIGITS), 16);
    return { byte: bit >> 3, mask: 1 << (bit & 7) };
  });
}

/** The sessions that the next join of a key unknown to the run may open; 0 for a key that never came. */
export function firstSessions(
  { forgetting }: RunState,
  key: string,
): { readonly least: number; readonly most: number } {
  const { keys, least_session, next_session } = forgetting;
  const came = keys !== null && bitsOf(key).every(({ byte, mask }) => keys[byte] & mask);
  return came ? { least: least_session, most: next_session } : { least: 0, most: 0 };
}

/** Whether a peer has a record: merged work, a verdict, a measurement, or shares that it may lose. */
export function hasRecord(run: RunState, peer: PeerState): boolean {
  const { merged_submissions, judged, evaluated_rounds, plants_right, plants_wrong, forfeited_shares } = peer;
  if (merged_submissions > 0 || judged || evaluated_rounds !== null) return true;
  if (plants_right + plants_wrong + forfeited_shares > 0 || run.withheld.has(peer.id)) return true;
  return run.locks.some(({ device }) => device === peer.id);
}

/** Whether a peer must be remembered: it is present, or has a record. */
export const isLasting = (run: RunState, peer: PeerState): boolean => peer.present || hasRecord(run, peer);

/** How many of a run's peers are present or have a record. */
export function countLasting(run: RunState): number {
  let count = 0;
  for (const peer of run.peers.values()) if (isLasting(run, peer)) count++;
  return count;
}

/** Call it when a peer has left: from time to time it forgets absent peers without a record. */
export function noteLeave(run: RunState, peer: PeerState): void {
  const { forgetting } = run;
  if (hasRecord(run, peer) || ++forgetting.leaves < CORE_LIMITS.leaves_until_forgotten) return;
  forgetting.leaves = 0;
  forgetting.least_session = forgetting.next_session;
  // An absent peer may still have work in the open round, or be a judge of some.
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
