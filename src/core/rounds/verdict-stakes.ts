// What a validator's word weighs in the open round: what the rules give its account, and the shares that were locked behind it.
import type { NetworkState, RunState } from '../state.ts';
import { accountOf } from '../state.ts';

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
/** What all stakes of a round stay below: `sharesOf` divides them with 64 fractional bits. */
const MAX_STAKE = 2n ** 63n;

/** What devices weigh together, and the unit that it is counted in. */
export interface WholeStake {
  readonly stake: bigint;
  readonly unit: bigint;
}

/** What devices weigh when all of them speak: an account's stake by the rules once, and what is locked behind each. */
export function wholeStake(state: NetworkState, run: RunState, devices: readonly string[]): WholeStake {
  const accounts = new Set(devices.map((id) => accountOf(state, id)));
  let sum = devices.reduce((all, id) => all + BigInt(lockedBehind(run, id)), 0n);
  for (const account of accounts) sum += BigInt(stakeOf(run, account));
  let unit = STAKE_SCALE;
  while (sum * unit >= MAX_STAKE) unit /= 10n;
  return { stake: sum * unit, unit };
}

/**
 * The stakes of devices that speak together, in a unit that they share: an account's stake by the rules is its own, however many of
 * its devices speak; what it has locked stands behind one of them. `unit`: that of others whom they are compared with.
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
  return new Map(
    devices.map((id) => {
      const account = accountOf(state, id);
      const byRules = (BigInt(stakeOf(run, account)) * unit) / ofAccount.get(account)!;
      return [id, byRules + BigInt(lockedBehind(run, id)) * unit];
    }),
  );
}
