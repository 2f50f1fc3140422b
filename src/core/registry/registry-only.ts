// Where a log has a registry, devices and addresses are said there: this log takes them in with proofs, and in no other way.
import { type Refusal, refuse } from '../refusal.ts';
import type { NetworkState } from '../state.ts';

/** Why a device or an address may not be named in this log itself; null: the log has no registry. */
export function refusalOfDirect({ registry }: NetworkState): Refusal | null {
  if (!registry) return null;
  const { hub, url } = registry;
  return refuse(
    'at-the-registry',
    `devices and addresses are kept in the log of the registry ${hub}: say it at ${url}`,
  );
}
