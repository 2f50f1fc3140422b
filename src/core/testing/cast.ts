// The participants of generated histories: keys that really sign, two owners with bound devices, and devices without an owner.
import { signEvent } from '../../protocol/envelope.ts';
import { type DrawingIdentity, identityFromSecret } from '../../protocol/identity.ts';
import { seededRandom } from '../../protocol/random.ts';
import { type CastRegistry, listingsOf, openRegistry } from './drawn-registry.ts';
import { type Departure, departure, logWith, signedRun } from './foreign-run.ts';

export interface Cast {
  readonly hub: string;
  /** The first one creates runs. */
  readonly owners: readonly string[];
  /** Keys that work and judge; an owner may do so as well. */
  readonly devices: readonly string[];
  /** Which owner vouches for a device: one certificate expires soon, one lasts. The other devices have no owner. */
  readonly certificates: ReadonlyMap<string, readonly Uint8Array[]>;
  /** The hub's key, with which it draws. */
  readonly drawer: DrawingIdentity;
  /** A run of the last owner's that another hub has let go to this one. */
  readonly comes: Departure;
  /** A registry that names these owners and devices. */
  readonly registry: CastRegistry;
}

/** A certificate expires after so much of the log's time: in the middle of a history, or never in it. */
const ENDS_MS = [9000, 10 ** 9] as const;
const DEVICES = 9;
const OWNERS = 3;
/** The owners of the first devices: one owner has more of them than are often drawn to judge. */
const OWNED = [0, 1, 1, 1, 2, 2];

const secretOf = (who: string): Uint8Array => {
  const random = seededRandom('cast', who);
  return Uint8Array.from({ length: 32 }, () => random.below(256));
};

/** The same participants every time. */
export async function openCast(): Promise<Cast> {
  const people = (what: string, count: number) => Array.from({ length: count }, (_, i) => secretOf(`${what} ${i}`));
  const [owners, devices, [hub]] = [people('owner', OWNERS), people('device', DEVICES), people('hub', 1)].map(
    (secrets) => secrets.map(identityFromSecret),
  );
  const certificates = new Map<string, Uint8Array[]>();
  for (const [i, owner] of OWNED.entries()) {
    const { id: device } = devices[i];
    const signed = ENDS_MS.map((expires_ms) =>
      signEvent(owners[owner], { type: 'device.certificate', version: 1, device, expires_ms }),
    );
    certificates.set(device, await Promise.all(signed));
  }
  const comes = await runFromElsewhere(owners.at(-1)!, hub.id);
  const named = { owners, devices, certificates, owned: OWNED };
  const [another, keeper] = ['another hub', 'registry'].map((who) => identityFromSecret(secretOf(who)));
  const listings = await listingsOf(comes, another, hub);
  return {
    comes,
    registry: { ...(await openRegistry(keeper, another, named)), listings },
    hub: hub.id,
    owners: owners.map(({ id }) => id),
    devices: devices.map(({ id }) => id),
    certificates,
    drawer: hub,
  };
}

async function runFromElsewhere(owner: DrawingIdentity, to: string): Promise<Departure> {
  const hub = identityFromSecret(secretOf('another hub'));
  const run = await signedRun(owner);
  return departure(logWith(hub.id, owner.id, run), { hub, owner, created: run.created }, to);
}
