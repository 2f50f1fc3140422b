// One person may own many devices: which owner vouches for a device's key, until when, and that a revoked key may do nothing any more.
import { openEvent } from '../protocol/envelope.ts';
import { ProtocolError } from '../protocol/errors.ts';
import type { DeviceBound } from './events/device-bound.ts';
import { DeviceCertificateSchema } from './events/device-certificate.ts';
import type { DeviceRevoked } from './events/device-revoked.ts';
import type { LoggedEvent } from './events.ts';
import type { Refusal } from './refusal.ts';
import { refuse } from './refusal.ts';
import type { NetworkState } from './state.ts';

/** Opens an owner's certificate for a device. Returns a Refusal when it is not one, or is for another device. */
export function openCertificate(
  certificate: Uint8Array,
  device: string,
): { readonly owner: string; readonly expires_ms: number } | Refusal {
  try {
    const { author, body } = openEvent(certificate);
    const parsed = DeviceCertificateSchema.safeParse(body);
    if (!parsed.success) return refuse('bad-certificate', `certificate: ${parsed.error.issues[0].message}`);
    if (parsed.data.device !== device) {
      return refuse('bad-certificate', `expected a certificate for ${device}, got one for ${parsed.data.device}`);
    }
    return { owner: author, expires_ms: parsed.data.expires_ms };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return refuse('bad-certificate', `certificate: ${error.message}`);
  }
}

/** Why a key may not sign this event; null where it may. A device whose certificate has expired may still bring a newer one. */
export function refusalOfKey(state: NetworkState, { author, body }: LoggedEvent): Refusal | null {
  const device = state.devices.get(author);
  if (!device) return null;
  if (device.revoked) return refuse('device-revoked', `the owner of ${author} has revoked it`);
  if (state.time_ms >= device.expires_ms && body.type !== 'device.bound') {
    return refuse(
      'device-expired',
      `the certificate of ${author} ended at ${device.expires_ms}, it is ${state.time_ms}`,
    );
  }
  return null;
}

/** Whose device a key is now; itself where no owner ever vouched for it, null where one does not any more. */
export function ownerNow({ devices, time_ms }: NetworkState, key: string): string | null {
  const device = devices.get(key);
  if (!device) return key;
  return device.revoked || time_ms >= device.expires_ms ? null : device.owner;
}

type DeviceBody = DeviceBound | DeviceRevoked;

/** Whether this event may bind or revoke a device. */
export function refusalOfDevice(state: NetworkState, author: string, body: DeviceBody): Refusal | null {
  if (body.type === 'device.revoked') {
    const device = state.devices.get(body.device);
    if (device?.owner !== author) return refuse('not-the-owner', `${author} does not own the device ${body.device}`);
    return device.revoked ? refuse('device-revoked', `${body.device} is revoked already`) : null;
  }
  const opened = openCertificate(body.certificate, author);
  if ('code' in opened) return opened;
  if (state.time_ms >= opened.expires_ms) {
    return refuse('device-expired', `the certificate ended at ${opened.expires_ms}, it is ${state.time_ms}`);
  }
  const known = state.devices.get(author);
  // A device that earns for one person cannot be moved to another; a longer certificate of the same owner is fine.
  if (known && known.owner !== opened.owner) return refuse('already-bound', `${author} belongs to ${known.owner}`);
  if (known && known.expires_ms >= opened.expires_ms) return refuse('already-bound', `${author} is bound already`);
  // An owner cannot itself be a device: sums by account would have to follow chains of owners.
  if (state.devices.has(opened.owner) || state.owners.has(author) || opened.owner === author) {
    return refuse('bad-certificate', 'expected an owner that is not itself a device');
  }
  return null;
}

/** Binds or revokes; call it only after `refusalOfDevice` returned null. */
export function applyDevice(state: NetworkState, author: string, body: DeviceBody): void {
  if (body.type === 'device.revoked') {
    state.devices.get(body.device)!.revoked = true;
    return;
  }
  const opened = openCertificate(body.certificate, author);
  if (!('code' in opened)) bindDevice(state, author, opened);
}

/** From now on the device earns for the owner. */
export function bindDevice(
  state: NetworkState,
  device: string,
  certificate: { readonly owner: string; readonly expires_ms: number },
): void {
  const { owner } = certificate;
  if (!state.devices.has(device)) state.owners.set(owner, (state.owners.get(owner) ?? 0) + 1);
  state.devices.set(device, { ...certificate, revoked: false });
}
