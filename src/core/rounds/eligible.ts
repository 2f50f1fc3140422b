// Who may judge in a round. Keys cost nothing, so seats are limited. They are fixed when the round opens, before anybody can know who will judge what.
import { CORE_LIMITS } from '../limits.ts';
import type { NetworkState, PeerState, RunState } from '../state.ts';
import { accountOf } from '../state.ts';
import { stakeOf, wholeStake } from './verdict-stakes.ts';

/** In an open run a validator may judge after it was present, without a break, at this many openings of rounds. The first ones need not wait. */
const SEAT_OPENINGS = 3;

/** A round opens: everybody present has seen one more opening. */
export function countOpening(run: RunState): void {
  for (const id of run.validators) run.peers.get(id)!.openings++;
}

/**
 * Fixes who may judge in the round that opens; where nobody may, again when its work is over. In a run that names its validators: those,
 * and everybody behind whom shares are locked. In an open run: everybody present when there was nobody else, and everybody who has been
 * present for some openings. Suspended validators wait.
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
 * Removes suspended validators. Devices cost nothing and judge with their account's stake, so at first all devices of an account go if one
 * of them is suspended. Where those hold most of the stake, only the suspended devices themselves go.
 */
function withoutSuspended(state: NetworkState, run: RunState, seats: readonly string[]): [string[], string[]] {
  const waiting = [...run.peers.values()].filter(({ suspended_until }) => suspended_until > run.round);
  const devices = new Set(waiting.map(({ id }) => id));
  const accounts = new Set(waiting.map(({ id }) => accountOf(state, id)));
  return [seats.filter((id) => !accounts.has(accountOf(state, id))), seats.filter((id) => !devices.has(id))];
}

/** Suspensions never leave a run with less than half of its stake: otherwise a holder of little stake could decide alone. */
const isMost = (state: NetworkState, run: RunState, some: readonly string[], all: readonly string[]): boolean =>
  wholeStake(state, run, some).stake * 2n > wholeStake(state, run, all).stake;

function hasSeat(state: NetworkState, run: RunState, { id, openings }: PeerState): boolean {
  if ((run.staked.get(id) ?? 0) > 0) return true;
  if (run.rules.validators.length > 0) return stakeOf(run, accountOf(state, id)) > 0;
  return openings > SEAT_OPENINGS;
}

/** The eligible validators that are present. */
export const eligibleHere = (run: RunState): string[] => run.eligible.filter((id) => run.validators.includes(id));

/** Those of them that have not stayed silent in this round. */
export const heardHere = (run: RunState): string[] => eligibleHere(run).filter((id) => !run.silent.includes(id));

/** A validator has stayed silent in this round. */
export function noteSilent(run: RunState, ids: readonly string[]): void {
  run.silent = [...new Set([...run.silent, ...ids])].sort();
}

/**
 * Warns each validator that stayed silent in the round being merged. If its account was warned already, it is suspended but keeps its pay,
 * because a slow machine is late once in a while.
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
 * Suspends the accounts of validators that contradicted the whole jury, or stayed silent again. Each further suspension is twice as long,
 * until the account has gone without one for a while.
 */
export function suspend(state: NetworkState, run: RunState, ids: ReadonlySet<string>): void {
  if (ids.size === 0) return; // the usual case: it saves a pass over thousands of peers
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
