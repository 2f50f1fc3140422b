// What the pool makes of a device's offer: it is taken or refused, and whoever asks to be paid and cannot be is told so.
import type { Clock } from '../../protocol/clock.ts';
import type { Offer } from '../../protocol/serving-from-peer.ts';
import type { UnpaidCode } from '../../protocol/serving-messages.ts';
import { DEVICE_LIMITS, type Devices, type PoolConnection, type PoolDevice } from './devices.ts';
import type { KnownModel } from './models.ts';

/** What a device is told whose offer is not taken. */
const REFUSED_OFFERS = {
  'unknown-model': 'expected a model of a run of this hub, one of its last ones',
  'too-many-models': `expected at most ${DEVICE_LIMITS.offers} models of one device`,
  'too-many-files': `${DEVICE_LIMITS.files} files are offered here already`,
  'too-many-devices': `${DEVICE_LIMITS.devices} devices serve here already`,
  'nobody-pays':
    'expected no price, because this hub charges nobody: no request comes to this device until it asks nothing',
  'not-bound':
    'expected a device that its owner has vouched for in the log, because it asks to be paid: no request comes to it before',
} as const;

/** Whoever comes sends its owner's word beside its first offer: only after so long is it missed. */
const BOUND_WITHIN_MS = 5000;

interface Around {
  readonly clock: Clock;
  readonly devices: Devices;
  models(): readonly KnownModel[];
  unpaid(peer: string, offer: Offer): UnpaidCode | null;
}

/** Throws ProtocolError `malformed`. @returns the device; null: its offer is not taken, and it has heard why */
export function takeOffer(connection: PoolConnection, offer: Offer, around: Around): PoolDevice | null {
  const { clock, devices, models, unpaid } = around;
  const { model, file } = offer;
  const tell = (code: keyof typeof REFUSED_OFFERS): void =>
    connection.tell({ type: 'offer-refused', model, code, message: REFUSED_OFFERS[code] });
  const isKnown = file !== undefined || models().some(({ hash }) => hash === model);
  const refused = isKnown ? devices.offer(connection, offer) : 'unknown-model';
  if (refused !== null) {
    tell(refused);
    return null;
  }
  const device = devices.all.get(connection.number)!;
  const before = device.unpaid;
  device.unpaid = unpaid(device.peer, offer);
  if (device.unpaid === null || device.unpaid === before) return device;
  // Its offer stays: its owner may vouch for it at any moment.
  if (device.unpaid === 'nobody-pays') tell(device.unpaid);
  else {
    device.telling = clock.setTimeout(() => {
      if (device.unpaid !== null && unpaid(device.peer, offer) !== null) tell('not-bound');
    }, BOUND_WITHIN_MS);
  }
  return device;
}
