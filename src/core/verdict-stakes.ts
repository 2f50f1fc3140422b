// What a validator's word weighs in the open round: what the rules give its account, and the shares that were locked behind it.
import type { NetworkState, RunState } from './state.ts';
import { accountOf } from './state.ts';

/** The stake that the rules give an account to validate with; 0: it may not. */
export function stakeOf(run: RunState, account: string): number {
  const { validators } = run.rules;
  if (validators.length === 0) return 1;
  return validators.find((entry) => entry.account === account)?.stake ?? 0;
}

/** What was locked behind a device before the open round opened. */
export const lockedBehind = (run: RunState, device: string): number => run.staked.get(device) ?? 0;

/** Stakes by the rules are divided among an account's devices; this keeps fractions of the smallest one. */
const STAKE_SCALE = 1_000_000n;
/** What all stakes of an epoch must stay below (yuma-input.ts). */
const MAX_STAKE = 2n ** 63n;

/**
 * The stakes of devices that speak together, in a unit that they share: an account's stake by the rules is its own, however many of
 * its devices speak; what it has locked stands behind one of them.
 */
export function verdictStakes(state: NetworkState, run: RunState, devices: readonly string[]): Map<string, bigint> {
  const ofAccount = new Map<string, number>();
  let sum = 0n;
  for (const id of devices) {
    const account = accountOf(state, id);
    const known = ofAccount.get(account) ?? 0;
    ofAccount.set(account, known + 1);
    sum += BigInt(lockedBehind(run, id)) + BigInt(known === 0 ? stakeOf(run, account) : 0);
  }
  let scale = STAKE_SCALE;
  while (sum * scale >= MAX_STAKE) scale /= 10n;
  return new Map(
    devices.map((id) => {
      const account = accountOf(state, id);
      const byRules = (BigInt(stakeOf(run, account)) * scale) / BigInt(ofAccount.get(account)!);
      return [id, byRules + BigInt(lockedBehind(run, id)) * scale];
    }),
  );
}
