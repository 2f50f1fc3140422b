// The addresses at which owners want their shares settled: their latest statement to this hub. Statements are counted, so that none can be replayed.
import type { AccountAddress } from '../events/account-address.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { NetworkState } from '../state.ts';

export function refusalOfAddress(state: NetworkState, author: string, body: AccountAddress): Refusal | null {
  if (state.devices.has(author)) return refuse('not-the-owner', 'a device has no address; its owner has one');
  if (body.hub !== state.hub) return refuse('wrong-hub', `expected an address for hub ${state.hub}, got ${body.hub}`);
  const expected = nextAddressChange(state, author);
  return body.change === expected ? null : refuse('wrong-change', `expected change ${expected}, got ${body.change}`);
}

/** The sequence number that an owner's next statement must carry. */
export function nextAddressChange(state: NetworkState, account: string): number {
  return state.addresses.get(account)?.changes ?? 0;
}

export function applyAddress(state: NetworkState, author: string, { address, change }: AccountAddress): void {
  state.addresses.set(author, { address, changes: change + 1 });
  // A settlement must be computed from a log that contains this change.
  for (const run of state.runs.values()) if (run.shares.has(author)) run.balances_since = state.events;
}

/** Addresses by account. */
export function addressesOf(state: NetworkState): Map<string, string> {
  return new Map([...state.addresses].map(([account, { address }]) => [account, address]));
}
