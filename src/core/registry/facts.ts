// What a registry's log says of devices and addresses, as it counts in a log that follows the registry.
import { z } from 'zod';
import { applyDevice, openCertificate, refusalOfDevice } from '../devices.ts';
import { AccountAddressSchema } from '../events/account-address.ts';
import { DeviceBoundSchema } from '../events/device-bound.ts';
import { DeviceRevokedSchema } from '../events/device-revoked.ts';
import { openPlaced, type PlacedEvent } from '../moving/foreign-event.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { applyAddress, nextAddressChange } from '../shares/addresses.ts';
import type { NetworkState } from '../state.ts';

const FactSchema = z.discriminatedUnion('type', [DeviceBoundSchema, DeviceRevokedSchema, AccountAddressSchema]);

/** An event of a registry's log that counts here too. */
export interface Fact {
  readonly author: string;
  readonly body: z.infer<typeof FactSchema>;
}

/** Opens an entry of the registry's log under its head: a Refusal `bad-proof` where it is not that entry, or says nothing of devices and addresses. */
export function openFact(placed: PlacedEvent, head: { readonly size: number; readonly root: string }): Fact | Refusal {
  const opened = openPlaced(placed, head);
  if ('code' in opened) return opened;
  const parsed = FactSchema.safeParse(opened.body);
  if (parsed.success) return { author: opened.author, body: parsed.data };
  return refuse(
    'bad-proof',
    `entry ${placed.index} of the registry is ${opened.body.type}, not of a device or an address`,
  );
}

/** Why a fact of the registry may not count here; null: it may, and says something new. */
export function refusalOfFact(state: NetworkState, registry: string, { author, body }: Fact): Refusal | null {
  if (body.type !== 'account.address') {
    // As in the registry itself: a key that is revoked may say nothing any more.
    const revoked = body.type === 'device.bound' && state.devices.get(author)?.revoked;
    return revoked
      ? refuse('device-revoked', `the owner of ${author} has revoked it`)
      : refusalOfDevice(state, author, body);
  }
  if (state.devices.has(author)) return refuse('not-the-owner', 'a device has no address; its owner has one');
  if (body.hub !== registry) return refuse('wrong-hub', `expected an address for hub ${registry}, got ${body.hub}`);
  // Only the last one counts, so those before it need not come.
  const least = nextAddressChange(state, author);
  return body.change >= least
    ? null
    : refuse('wrong-change', `expected change ${least} or a later one, got ${body.change}`);
}

/** The fact counts from now on; call it only after `refusalOfFact` returned null. */
export function applyFact(state: NetworkState, { author, body }: Fact): void {
  if (body.type === 'account.address') applyAddress(state, author, body);
  else applyDevice(state, author, body);
}

/** Why these facts may not follow one another here. Each is looked at as if those before it counted; the state stays as it is. */
export function refusalOfFacts(state: NetworkState, registry: string, facts: readonly Fact[]): Refusal | null {
  const draft = peopleOf(state, facts);
  for (const fact of facts) {
    const refusal = refusalOfFact(draft, registry, fact);
    if (refusal) return refusal;
    applyFact(draft, fact);
  }
  return null;
}

/** A copy of what facts may look at or change: of the keys that they name alone, because a log may have a hundred thousand. */
function peopleOf(state: NetworkState, facts: readonly Fact[]): NetworkState {
  const named = facts.flatMap(({ author, body }) => {
    if (body.type === 'device.revoked') return [author, body.device];
    if (body.type !== 'device.bound') return [author];
    const opened = openCertificate(body.certificate, author);
    return 'code' in opened ? [author] : [author, opened.owner];
  });
  const of = <Value>(map: ReadonlyMap<string, Value>, copy: (value: Value) => Value): Map<string, Value> =>
    new Map(named.flatMap((key) => (map.has(key) ? [[key, copy(map.get(key)!)]] : [])));
  return {
    ...state,
    devices: of(state.devices, (device) => ({ ...device })),
    owners: of(state.owners, (count) => count),
    addresses: of(state.addresses, (address) => address),
    // An address changes when a run's balances were settled last, which no fact looks at.
    runs: new Map(),
  };
}
