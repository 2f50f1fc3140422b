// How many of an account's shares it can dispose of. The others are withheld, locked behind a validator, or settled (paid out elsewhere).
import type { RunState } from '../state.ts';

/** An account's shares of a run, each counted once: `held` is the sum of the others. Whole numbers from 0. */
export interface ShareBalance {
  readonly held: number;
  /** Paid out elsewhere. */
  readonly settled: number;
  /** Behind validators, including what is under notice of release. */
  readonly locked: number;
  /** Earned so recently that it is lost if the device is caught cheating. */
  readonly withheld: number;
  readonly free: number;
}

/** Whether the shares earned in a round can still be lost. */
export const isWithheld = (run: RunState, round: number): boolean => round + run.rules.withheld_rounds > run.round;

/** Whether a device has shares that it can still lose. */
export const hasWithheld = (run: RunState, device: string): boolean =>
  (run.withheld.get(device) ?? []).some(({ round }) => isWithheld(run, round));

/** How much merged work a device can still lose its pay for. */
export const withheldAmount = (run: RunState, device: string): number =>
  (run.withheld.get(device) ?? []).reduce((sum, { round, amount }) => (isWithheld(run, round) ? sum + amount : sum), 0);

/** The shares that an account has locked behind validators. */
function lockedShares(run: RunState, account: string): number {
  return run.locks.reduce((sum, lock) => (lock.account === account ? sum + lock.shares : sum), 0);
}

/** An account's shares less those that are locked or settled. */
export function sharesAtHand(run: RunState, account: string): number {
  return (run.shares.get(account) ?? 0) - lockedShares(run, account) - (run.settled.get(account) ?? 0);
}

/** One account's shares. */
export function balanceOf(run: RunState, account: string): ShareBalance {
  return balance(run, account, lockedShares(run, account), withheldIn(run, (id) => id === account).get(account) ?? 0);
}

/** Everybody's shares, in order of account. */
export function allBalances(run: RunState): Map<string, ShareBalance> {
  const locked = new Map<string, number>();
  for (const { account, shares } of run.locks) locked.set(account, (locked.get(account) ?? 0) + shares);
  const withheld = withheldIn(run, () => true);
  return new Map(
    [...run.shares.keys()]
      .sort()
      .map((account) => [account, balance(run, account, locked.get(account) ?? 0, withheld.get(account) ?? 0)]),
  );
}

function balance(run: RunState, account: string, locked: number, recent: number): ShareBalance {
  const held = run.shares.get(account) ?? 0;
  const settled = run.settled.get(account) ?? 0;
  // Rules that withhold for longer reach back to shares that were free before, but not to those locked or settled since.
  const withheld = Math.min(recent, held - locked - settled);
  return { held, settled, locked, withheld, free: held - settled - locked - withheld };
}

/** What accounts have earned recently, and may still lose. A finished run withholds nothing. */
function withheldIn(run: RunState, concerns: (account: string) => boolean): Map<string, number> {
  const sums = new Map<string, number>();
  if (run.phase === 'finished') return sums;
  for (const earned of run.withheld.values()) {
    for (const { account, round, shares } of earned) {
      if (concerns(account) && isWithheld(run, round)) sums.set(account, (sums.get(account) ?? 0) + shares);
    }
  }
  return sums;
}
