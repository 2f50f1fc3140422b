// The stake behind a validator's verdict in the open round: what the rules give its account, plus the shares locked behind the device.
import type { NetworkState, RunState } from '../state.ts';
import { accountOf } from '../state.ts';

/** The stake that the rules give an account for validating; 0 where it may not validate. */
export function stakeOf(run: RunState, account: string): number {
  const { validators } = run.rules;
  if (validators.length === 0) return 1;
  return validators.find((entry) => entry.account === account)?.stake ?? 0;
}

/** The shares locked behind a device before the open round opened. */
export const lockedBehind = (run: RunState, device: string): number => run.staked.get(device) ?? 0;

/** Stakes by the rules are divided among an account's devices; this factor keeps fractions of the smallest stake. */
const STAKE_SCALE = 1_000_000n;
/** The upper bound of a round's total stake: `sharesOf` divides stakes with 64 fractional bits. */
const MAX_STAKE = 2n ** 63n;

/** The combined stake of devices, and the unit that it is counted in. */
export interface WholeStake {
  readonly stake: bigint;
  readonly unit: bigint;
}

/** The combined stake if all devices speak: each account's stake by the rules once, and what is locked behind each device. */
export function wholeStake(state: NetworkState, run: RunState, devices: readonly string[]): WholeStake {
  const accounts = new Set<string>();
  let sum = 0n;
  for (const id of devices) {
    sum += BigInt(lockedBehind(run, id));
    const account = accountOf(state, id);
    if (accounts.has(account)) continue;
    accounts.add(account);
    sum += BigInt(stakeOf(run, account));
  }
  let unit = STAKE_SCALE;
  while (sum * unit >= MAX_STAKE) unit /= 10n;
  return { stake: sum * unit, unit };
}

/**
 * The stakes of devices that speak together, in a common unit. An account's stake by the rules counts once, however many of its devices
 * speak; locked shares stand behind one device. `unit`: the unit of others that the stakes are compared with.
 */
export function verdictStakes(
  state: NetworkState,
  run: RunState,
  devices: readonly string[],
  { unit }: Pick<WholeStake, 'unit'> = wholeStake(state, run, devices),
): Map<string, bigint> {
  const ofAccount = new Map<string, bigint>();
  for (const id of devices) {
    const account = accountOf(state, id);
    ofAccount.set(account, (ofAccount.get(account) ?? 0n) + 1n);
  }
  const stakes = new Map<string, bigint>();
  for (const id of devices) {
    const account = accountOf(state, id);
    const byRules = (BigInt(stakeOf(run, account)) * unit) / ofAccount.get(account)!;
    stakes.set(id, byRules + BigInt(lockedBehind(run, id)) * unit);
  }
  return stakes;
}
