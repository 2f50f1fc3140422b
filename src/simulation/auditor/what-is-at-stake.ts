// What an account holds and cannot spend: shares recently earned and withheld, locked behind a validator, or paid out elsewhere; and what is lost.
import type { StakeLocked } from '../../core/events/stake-locked.ts';
import type { StakeReleased } from '../../core/events/stake-released.ts';
import { accountOf, type Books, type Earning, type Peer, type RunBook } from './books.ts';

/** Merged rounds from releasing shares to getting them, where the rules state none. */
const RELEASE_ROUNDS = 10;

export const mayBeLost = (run: RunBook, round: number): boolean => round + run.rules.withheld_rounds > run.round;

export function balance(
  run: RunBook,
  account: string,
): { held: number; locked: number; settled: number; free: number } {
  const held = run.shares.get(account) ?? 0;
  const settled = run.settled.get(account) ?? 0;
  const of = (list: readonly { account: string; shares: number }[]): number =>
    list.filter((one) => one.account === account).reduce((sum, { shares }) => sum + shares, 0);
  const locked = of(run.locks);
  const recent = [...run.earnings.values()].flat().filter(({ round }) => mayBeLost(run, round));
  // A finished run withholds nothing; what was locked or settled while it was free is not withheld afterwards.
  const withheld = run.phase === 'finished' ? 0 : Math.min(of(recent), held - locked - settled);
  return { held, locked, settled, free: held - locked - settled - withheld };
}

/** A device has earned: its bond grows, and what can no longer be lost is forgotten. */
export function earn(run: RunBook, device: string, { account, shares, amount }: Omit<Earning, 'round'>): void {
  if (shares === 0) return;
  const kept = (run.earnings.get(device) ?? []).filter(({ round }) => mayBeLost(run, round));
  run.earnings.set(device, [...kept, { round: run.round, account, shares, amount }]);
}

/** A device was caught: the shares behind it and its recent earnings go back to the run. */
export function forfeit(run: RunBook, peer: Peer): Earning[] {
  const lost: Earning[] = [];
  const take = (round: number, account: string, shares: number, amount: number): void => {
    if (shares > 0) lost.push({ round, account, shares, amount });
    run.shares.set(account, run.shares.get(account)! - shares);
    run.unearned += shares;
    peer.forfeited += shares;
  };
  const behind = run.locks.filter(({ device }) => device === peer.id);
  run.locks = run.locks.filter(({ device }) => device !== peer.id);
  for (const { account, shares } of behind) take(run.round, account, shares, 0);
  for (const { account, shares, round, amount } of run.earnings.get(peer.id) ?? []) {
    if (!mayBeLost(run, round)) continue;
    const { held, locked, settled } = balance(run, account);
    take(round, account, Math.min(shares, held - locked - settled), amount);
  }
  run.earnings.delete(peer.id);
  // Oldest first; of one round, earned shares before locked ones.
  const locks = lost.splice(0, behind.length);
  return [...lost, ...locks];
}

/** A device loses what it earned in the last round that paid it. */
export function takeLast(run: RunBook, peer: Peer): void {
  const earned = run.earnings.get(peer.id) ?? [];
  const last = earned.at(-1);
  if (!last || !mayBeLost(run, last.round)) return;
  run.earnings.set(peer.id, earned.slice(0, -1));
  const { held, locked, settled } = balance(run, last.account);
  const lost = Math.min(last.shares, held - locked - settled);
  run.shares.set(last.account, run.shares.get(last.account)! - lost);
  run.unearned += lost;
  peer.forfeited += lost;
}

/** Releases whose notice period is over; in a finished run, all. */
export function giveBack(run: RunBook): void {
  run.locks = run.locks.filter(
    ({ shares, free_round }) =>
      shares > 0 && (free_round === null || (run.phase !== 'finished' && free_round > run.round)),
  );
}

/** The stakes of the round that opens: locks that are not released. */
export function countStakes(run: RunBook): void {
  run.staked = new Map();
  for (const { device, shares, free_round } of run.locks) {
    if (free_round === null) run.staked.set(device, (run.staked.get(device) ?? 0) + shares);
  }
}

/** Whether anybody has unreleased shares behind a device. */
export const isBacked = (run: RunBook, device: string): boolean =>
  run.locks.some((lock) => lock.device === device && lock.free_round === null && lock.shares > 0);

const counting = (run: RunBook, account: string, behind: string) =>
  run.locks.find((lock) => lock.account === account && lock.device === behind && lock.free_round === null);

export function mayNotLock(books: Books, run: RunBook, author: string, body: StakeLocked): string | null {
  const account = accountOf(books, body.behind);
  if (run.phase === 'finished') return 'the run is finished';
  if (body.change !== (run.stake_changes.get(author) ?? 0)) return 'not its next change';
  if (account !== author) return 'behind somebody else';
  if (books.devices.get(body.behind)?.revoked) return 'behind a device that is revoked';
  if (!run.peers.has(body.behind)) return 'behind somebody who was never here';
  return body.shares > balance(run, author).free ? 'more than is free' : null;
}

export function mayNotRelease(run: RunBook, author: string, body: StakeReleased): string | null {
  if (body.change !== (run.stake_changes.get(author) ?? 0)) return 'not its next change';
  return body.shares > (counting(run, author, body.behind)?.shares ?? 0) ? 'more than is locked' : null;
}

export function lock(run: RunBook, account: string, { behind: device, shares, change }: StakeLocked): void {
  run.stake_changes.set(account, change + 1);
  const known = counting(run, account, device);
  if (known) known.shares += shares;
  else run.locks.push({ account, device, shares, free_round: null });
}

export function release(run: RunBook, account: string, { behind: device, shares, change }: StakeReleased): void {
  run.stake_changes.set(account, change + 1);
  counting(run, account, device)!.shares -= shares;
  const free_round = run.round + (run.rules.release_rounds ?? RELEASE_ROUNDS);
  run.locks.push({ account, device, shares, free_round });
  giveBack(run);
}

/** Free shares by holder, of holders with an address. */
export function payable(books: Books, run: RunBook): Map<string, number> {
  const holders = [...run.shares.keys()].filter((account) => books.addresses.has(account));
  return new Map(holders.map((account) => [account, balance(run, account).free]));
}
