// Who may judge in a round: a key is free, so a seat is not. It is fixed when the round opens, before anybody can know who will judge what.
import { CORE_LIMITS } from '../limits.ts';
import type { NetworkState, PeerState, RunState } from '../state.ts';
import { accountOf } from '../state.ts';
import { stakeOf, wholeStake } from './verdict-stakes.ts';

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
  const seats = seated.map(({ id }) => id);
  run.eligible = withoutSuspended(state, run, seats).find((free) => isMost(state, run, free, seats)) ?? seats;
}

/**
 * Who of these is not suspended. A device is free and what it judges with is its account's, so first without all devices of an account
 * of which one is suspended; where those are most of the stake, without the devices themselves.
 */
function withoutSuspended(state: NetworkState, run: RunState, seats: readonly string[]): [string[], string[]] {
  const waiting = [...run.peers.values()].filter(({ suspended_until }) => suspended_until > run.round);
  const devices = new Set(waiting.map(({ id }) => id));
  const accounts = new Set(waiting.map(({ id }) => accountOf(state, id)));
  return [seats.filter((id) => !accounts.has(accountOf(state, id))), seats.filter((id) => !devices.has(id))];
}

/** Suspensions never leave a run to less than half of its stake: whoever holds little would decide alone. */
const isMost = (state: NetworkState, run: RunState, some: readonly string[], all: readonly string[]): boolean =>
  wholeStake(state, run, some).stake * 2n > wholeStake(state, run, all).stake;

function hasSeat(state: NetworkState, run: RunState, { id, openings }: PeerState): boolean {
  if ((run.staked.get(id) ?? 0) > 0) return true;
  if (run.rules.validators.length > 0) return stakeOf(run, accountOf(state, id)) > 0;
  return openings > SEAT_OPENINGS;
}

/** Those of the eligible who are here now. */
export const eligibleHere = (run: RunState): string[] => run.eligible.filter((id) => run.validators.includes(id));

/** Those of them who have not kept silent in this round. */
export const heardHere = (run: RunState): string[] => eligibleHere(run).filter((id) => !run.silent.includes(id));

/** Somebody has kept silent in this round. */
export function noteSilent(run: RunState, ids: readonly string[]): void {
  run.silent = [...new Set([...run.silent, ...ids])].sort();
}

/**
 * Who has kept silent in the round that is being merged is warned. If its account was warned already, it is suspended, and keeps its pay:
 * a slow machine is late once in a while.
 */
export function settleSilence(state: NetworkState, run: RunState): void {
  if (run.silent.length === 0) return;
  const peers = [...run.peers.values()];
  const warned = new Set(
    peers.filter(({ warned_until }) => warned_until > run.round).map(({ id }) => accountOf(state, id)),
  );
  const silent = peers.filter(({ id }) => run.silent.includes(id));
  const again = silent.filter((peer) => warned.has(accountOf(state, peer.id)) && peer.suspended_until <= run.round);
  suspend(state, run, new Set(again.map(({ id }) => id)));
  for (const peer of silent) peer.warned_until = run.round + 1 + CORE_LIMITS.warned_rounds;
}

/**
 * Validators have contradicted what the whole jury found, or kept silent again: their accounts judge no more for some rounds, twice as many
 * each time, until they have not done so for a while.
 */
export function suspend(state: NetworkState, run: RunState, ids: ReadonlySet<string>): void {
  if (ids.size === 0) return; // as in most rounds: there may be thousands of peers
  const strikes = new Map<string, number>();
  for (const peer of run.peers.values()) {
    const forgotten = run.round - peer.struck_round > CORE_LIMITS.strike_memory_rounds;
    const account = accountOf(state, peer.id);
    if (!forgotten) strikes.set(account, Math.max(strikes.get(account) ?? 0, peer.strikes));
  }
  for (const id of ids) {
    const peer = run.peers.get(id)!;
    peer.strikes = Math.min(CORE_LIMITS.strikes, (strikes.get(accountOf(state, id)) ?? 0) + 1);
    peer.struck_round = run.round;
    peer.suspended_until = run.round + 1 + 2 ** peer.strikes;
  }
}
