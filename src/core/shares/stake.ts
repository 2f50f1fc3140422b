// Stake: a holder locks free shares behind a validator. They count from the next opening of a round on, can be lost, and are free again after a notice period.

import type { StakeLocked } from '../events/stake-locked.ts';
import type { StakeReleased } from '../events/stake-released.ts';
import { CORE_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { NetworkState, PeerState, RunState, StakeLock, Withheld } from '../state.ts';
import { accountOf } from '../state.ts';
import { balanceOf } from './balances.ts';

/** The usual notice period in merged rounds, for a run whose rules state none. */
export const releaseRounds = (run: RunState): number => run.rules.release_rounds ?? CORE_LIMITS.release_rounds.usual;

/** The sequence number that an account's next lock or release in a run must carry. */
export const nextStakeChange = (run: RunState, account: string): number => run.stake_changes.get(account) ?? 0;

/** Whether an account may lock these shares now. */
export function refusalOfLock(state: NetworkState, run: RunState, author: string, body: StakeLocked): Refusal | null {
  if (run.phase === 'finished') return refuse('wrong-phase', 'the run is finished, and nothing is judged any more');
  const change = refusalOfChange(run, author, body.change);
  if (change) return change;
  const { behind, shares } = body;
  const account = accountOf(state, behind);
  if (account !== author) return refuse('not-the-owner', `${behind} earns for ${account}, not for ${author}`);
  if (state.devices.get(behind)?.revoked) return refuse('device-revoked', `the owner of ${behind} has revoked it`);
  if (!run.peers.has(behind)) return refuse('not-a-validator', `${behind} has never been in this run`);
  const { free, held, withheld, locked, settled } = balanceOf(run, author);
  if (shares <= free) return null;
  const rest = `of ${held} shares, ${withheld} are withheld, ${locked} locked and ${settled} settled`;
  return refuse('not-enough-shares', `${author} has ${free} free shares, ${shares} are to be locked: ${rest}`);
}

/** Whether an account may release these shares. */
export function refusalOfRelease(run: RunState, author: string, body: StakeReleased): Refusal | null {
  const change = refusalOfChange(run, author, body.change);
  if (change) return change;
  const locked = activeLock(run, author, body.behind)?.shares ?? 0;
  if (body.shares <= locked) return null;
  return refuse('not-locked', `${author} has ${locked} shares behind ${body.behind} to release, not ${body.shares}`);
}

function refusalOfChange(run: RunState, author: string, change: number): Refusal | null {
  const expected = nextStakeChange(run, author);
  return change === expected ? null : refuse('wrong-change', `expected change ${expected}, got ${change}`);
}

/** Whether shares are locked behind a device, or will be from the next opening on. */
export const isLockedBehind = (run: RunState, device: string): boolean =>
  run.locks.some((lock) => lock.device === device && lock.free_round === null && lock.shares > 0);

const activeLock = (run: RunState, account: string, device: string): StakeLock | undefined =>
  run.locks.find((lock) => lock.account === account && lock.device === device && lock.free_round === null);

/** Locks; call it only after `refusalOfLock` returned null. */
export function applyLock(run: RunState, account: string, { behind: device, shares, change }: StakeLocked): void {
  run.stake_changes.set(account, change + 1);
  const lock = activeLock(run, account, device);
  if (lock) lock.shares += shares;
  else run.locks.push({ account, device, shares, free_round: null });
}

/**
 * Begins the notice period; call it only after `refusalOfRelease` returned null. From the next opening of a round on the shares do not count
 * any more. They can be lost until the notice period ends, which is after the plants of the open round are revealed.
 */
export function applyRelease(run: RunState, account: string, { behind: device, shares, change }: StakeReleased): void {
  run.stake_changes.set(account, change + 1);
  activeLock(run, account, device)!.shares -= shares;
  run.locks.push({ account, device, shares, free_round: run.round + releaseRounds(run) });
  freeStakes(run);
}

/** Frees the locked shares whose notice period is over, and in a finished run all that were released. */
export function freeStakes(run: RunState): void {
  const due = ({ free_round }: StakeLock): boolean =>
    free_round !== null && (free_round <= run.round || run.phase === 'finished');
  run.locks = run.locks.filter((lock) => lock.shares > 0 && !due(lock));
}

/** Fixes the stakes of the round that opens; no lock or release changes the stakes of an open round. */
export function countStakes(run: RunState): void {
  run.staked = new Map();
  for (const { device, shares, free_round } of run.locks) {
    if (free_round === null) run.staked.set(device, (run.staked.get(device) ?? 0) + shares);
  }
}

/** Takes everything that is locked behind a device; the shares go back to the run. Returns them as lost in the open round. */
export function forfeitStake(run: RunState, peer: PeerState): Withheld[] {
  const lost: Withheld[] = [];
  for (const { account, device, shares } of run.locks) {
    if (device !== peer.id) continue;
    run.shares.set(account, run.shares.get(account)! - shares);
    run.unearned_shares += shares;
    peer.forfeited_shares += shares;
    lost.push({ round: run.round, account, shares, amount: 0 });
  }
  run.locks = run.locks.filter(({ device }) => device !== peer.id);
  return lost;
}
