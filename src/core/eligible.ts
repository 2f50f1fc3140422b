// Who may judge in a round: a key is free, so a seat is not. It is fixed when the round opens, before anybody can know who will judge what.
import { CORE_LIMITS } from './limits.ts';
import type { NetworkState, PeerState, RunState } from './state.ts';
import { accountOf } from './state.ts';
import { stakeOf } from './verdict-stakes.ts';

/** In an open run a validator must have been here, without a break, when so many rounds opened before it may judge; its first ones need not. */
const SEAT_OPENINGS = 3;

/** A round opens: those who are here have seen one more. */
export function countOpening(run: RunState): void {
  for (const id of run.validators) run.peers.get(id)!.openings++;
}

/**
 * Fixes who may judge in the round that opens; where nobody may, once more when its work is over. In a run that names its validators:
 * those, and whoever has locked shares behind itself. In an open one: whoever was here when there was nobody else, and who has been here for some openings since. Who is suspended waits.
 */
export function seatValidators(state: NetworkState, run: RunState): void {
  const here = run.validators.map((id) => run.peers.get(id)!);
  let seated = here.filter((peer) => hasSeat(state, run, peer));
  if (seated.length === 0 && run.rules.validators.length === 0) {
    seated = here;
    for (const peer of here) peer.openings = Math.max(peer.openings, SEAT_OPENINGS + 1);
  }
  const free = seated.filter(({ suspended_until }) => suspended_until <= run.round);
  run.eligible = (free.length > 0 ? free : seated).map(({ id }) => id);
}

function hasSeat(state: NetworkState, run: RunState, { id, openings }: PeerState): boolean {
  if ((run.staked.get(id) ?? 0) > 0) return true;
  if (run.rules.validators.length > 0) return stakeOf(run, accountOf(state, id)) > 0;
  return openings > SEAT_OPENINGS;
}

/** Those of the eligible who are here now. */
export const eligibleHere = (run: RunState): string[] => run.eligible.filter((id) => run.validators.includes(id));

/**
 * A validator has contradicted what the whole jury found: it judges no more for some rounds, twice as many each time, until it has
 * not done so for a while.
 */
export function suspend(run: RunState, peer: PeerState): void {
  const forgotten = peer.strikes > 0 && run.round - peer.struck_round > CORE_LIMITS.strike_memory_rounds;
  peer.strikes = Math.min(CORE_LIMITS.strikes, (forgotten ? 0 : peer.strikes) + 1);
  peer.struck_round = run.round;
  peer.suspended_until = run.round + 1 + 2 ** peer.strikes;
}
