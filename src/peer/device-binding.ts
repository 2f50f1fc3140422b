// Binds devices to one owner: the owner's key certifies a device's key, the log records it, and what the device earns is the owner's.

import { OwnershipError } from '../audit/ownership-errors.ts';
import type { EventBody } from '../core/events.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { Identity } from '../protocol/identity.ts';
import { PeerError } from '../protocol/peer-errors.ts';

const DAY_MS = 86_400_000;
/** How long a certificate is valid, and how long before its end it is renewed. */
const CERTIFIED_MS = 365 * DAY_MS;
export const RENEWED_MS = 30 * DAY_MS;

/** A device's certificate as the device stores it. */
export interface KeptCertificate {
  readonly hub: string;
  readonly owner: string;
  readonly expires_ms: number;
  readonly bytes: Uint8Array;
}

/** Where a device stores its certificate. */
export interface CertificateStore {
  /** null where there is no valid certificate for this device. */
  read(device: string): Promise<KeptCertificate | null>;
  keep(hub: string, certificate: Uint8Array): Promise<void>;
}

/**
 * Records in the log, once, that a device works for an owner. A stored certificate that lasts is sent again unchanged; the log takes
 * nothing twice.
 * @param submit sends a signed body as the device. It throws PeerError `refused` where the hub refuses.
 * @returns whether the log learnt something new
 * Throws OwnershipError `bound-to-another`, `wrong-clock`, PeerError.
 */
export async function bindDevice(options: {
  readonly owner: Identity;
  readonly device: string;
  readonly hub: string;
  readonly certificates: CertificateStore;
  readonly now_ms: number;
  readonly submit: (body: EventBody) => Promise<unknown>;
}): Promise<boolean> {
  const { owner, device, hub, certificates, now_ms } = options;
  const kept = await certificates.read(device);
  const same = kept?.hub === hub && kept.owner === owner.id && kept.expires_ms - now_ms > RENEWED_MS;
  const certificate = same ? kept.bytes : await certifyDevice(owner, device, now_ms + CERTIFIED_MS);
  const earlier = kept?.hub === hub ? kept.owner : owner.id;
  if (!same && earlier === owner.id) await certificates.keep(hub, certificate);
  try {
    await options.submit({ type: 'device.bound', version: 1, certificate });
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    if (error.details.refusal === 'device-expired') {
      // The stored certificate has expired by the log's time, whatever this device's clock says: make another one.
      if (same) return bindDevice({ ...options, certificates: { ...certificates, read: async () => null } });
      throw wrongClock(now_ms, error.message);
    }
    if (error.details.refusal !== 'already-bound') throw error;
    if (earlier === owner.id) return false;
    throw new OwnershipError(
      'bound-to-another',
      `this device (${device.slice(0, 12)}) earns for ${earlier.slice(0, 12)}, not for ${owner.id.slice(0, 12)}: ` +
        'a key belongs to one owner for good; another --folder is another device',
      { device, owner: earlier },
    );
  }
  if (earlier !== owner.id) await certificates.keep(hub, certificate);
  return true;
}

/** Whether the log's time, which a refusal states, is at least a year ahead: work signed with this device's time would earn nothing. */
function wrongClock(now_ms: number, refusal: string): OwnershipError {
  const log_ms = Number(/it is (\d{1,15})$/.exec(refusal)?.[1] ?? now_ms + CERTIFIED_MS);
  const [here, there] = [now_ms, log_ms].map((time_ms) =>
    new Date(time_ms).toISOString().slice(0, 16).replace('T', ' '),
  );
  const days = Math.round((log_ms - now_ms) / DAY_MS);
  return new OwnershipError(
    'wrong-clock',
    `this device's clock says ${here} UTC, the hub's log ${there}, ${days} days later: what its owner signs with this clock ` +
      'has already expired, and nobody would earn anything; set the clock and join again',
    { clock_ms: now_ms, log_ms },
  );
}

/** What an owner signs for a device: bytes for a `device.bound` event. */
async function certifyDevice(owner: Identity, device: string, expires_ms: number): Promise<Uint8Array> {
  return signEvent(owner, { type: 'device.certificate', version: 1, device, expires_ms });
}
