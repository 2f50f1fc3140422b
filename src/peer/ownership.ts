// Owners and devices on disk: certificates in the devices' folders, the owner's key, and the address that an owner is paid at.
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { openCertificate } from '../core/devices.ts';
import { fromBase64, toBase64 } from '../ledger/signed-note.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { identityFromSecret } from '../protocol/identity.ts';
import { createIdentityFile, loadIdentity, readIdentitySecret } from '../protocol/identity-file.ts';
import { PRIVATE_FOLDER } from '../protocol/private-files.ts';
import { hash } from '../protocol/schemas.ts';
import type { CertificateStore, KeptCertificate } from './device-binding.ts';
import { OwnershipError } from './ownership-errors.ts';

const CERTIFICATE_FILE = 'device.certificate';

const KeptSchema = z.strictObject({
  format: z.literal('potluck-device-certificate-v1'),
  hub: hash,
  certificate: z.base64().max(2048),
});

/** The certificate in a device's folder; null where there is none that is valid for this device. */
export async function readDeviceCertificate(folder: string, device: string): Promise<KeptCertificate | null> {
  const text = await readFile(join(folder, CERTIFICATE_FILE), 'utf8').catch(() => null);
  if (text === null) return null;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = KeptSchema.safeParse(json);
  const bytes = parsed.success ? fromBase64(parsed.data.certificate) : null;
  if (!parsed.success || !bytes) return null;
  const opened = openCertificate(bytes, device);
  return 'code' in opened ? null : { hub: parsed.data.hub, ...opened, bytes };
}

/** The certificates of a device's folder, for bindDevice. */
export function certificatesIn(folder: string): CertificateStore {
  return {
    read: (device) => readDeviceCertificate(folder, device),
    keep: (hub, certificate) => keepCertificate(folder, hub, certificate),
  };
}

async function keepCertificate(folder: string, hub: string, certificate: Uint8Array): Promise<void> {
  const kept = { format: 'potluck-device-certificate-v1', hub, certificate: toBase64(certificate) };
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
  const aside = join(folder, `.${CERTIFICATE_FILE}-${randomBytes(6).toString('hex')}`);
  try {
    await writeFile(aside, `${JSON.stringify(kept, null, 2)}\n`, { mode: 0o600 });
    await rename(aside, join(folder, CERTIFICATE_FILE));
  } finally {
    await rm(aside, { force: true });
  }
}

/** A device key in a folder below `folder`, with its owner where it has one. */
export interface DeviceOnDisk {
  readonly device: string;
  readonly folder: string;
  readonly certificate: KeptCertificate | null;
}

/** The device keys in the folders directly below `folder`, in order of name. What cannot be read is left out. */
export async function devicesBelow(folder: string): Promise<DeviceOnDisk[]> {
  const names = await readdir(folder).catch(() => []);
  const found: DeviceOnDisk[] = [];
  for (const name of names.sort()) {
    const place = join(folder, name);
    const device = await loadIdentity(join(place, 'identity.key')).catch((error) => {
      if (error instanceof ProtocolError) return null;
      throw error;
    });
    if (!device) continue;
    found.push({ device: device.id, folder: place, certificate: await readDeviceCertificate(place, device.id) });
  }
  return found;
}

/**
 * Makes a secret the key at `path`. The same key there already: nothing happens. Another: with `force` it is set aside under its own
 * name, never deleted, because whoever loses it loses what it holds.
 * @returns the key's id, and where the key that was there before lies now
 * Throws OwnershipError `key-exists`, ProtocolError.
 */
export async function installKey(
  path: string,
  secret: Uint8Array,
  force: boolean,
): Promise<{ readonly id: string; readonly set_aside: string | null }> {
  const { id } = identityFromSecret(secret);
  if (await createIdentityFile(path, secret)) return { id, set_aside: null };
  const present = identityFromSecret(await readIdentitySecret(path)).id;
  if (present === id) return { id, set_aside: null };
  if (!force) {
    throw new OwnershipError(
      'key-exists',
      `${path} holds another key (${present.slice(0, 12)}); --force sets it aside`,
      {
        path,
        present,
      },
    );
  }
  const aside = join(dirname(path), `replaced-${present.slice(0, 16)}.key`);
  await rename(path, aside); // as it is: a key under a passphrase stays under it
  await createIdentityFile(path, secret);
  return { id, set_aside: aside };
}

/** The bytes of an EVM address in lower case. Mixed case must carry the right checksum (EIP-55). Throws OwnershipError `bad-address`. */
export function normaliseAddress(text: string): string {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) {
    throw new OwnershipError(
      'bad-address',
      `expected 0x and 40 hexadecimal digits, got ${JSON.stringify(text.slice(0, 60))}`,
    );
  }
  const lower = text.toLowerCase();
  const oneCase = text.slice(2) === lower.slice(2) || text.slice(2) === text.slice(2).toUpperCase();
  if (!oneCase && text !== checksummedAddress(lower)) {
    throw new OwnershipError('bad-address', `the checksum of ${text} is wrong: a digit was changed or mistyped`);
  }
  return lower;
}

/** An address with the checksum of EIP-55 in its capitals. */
export function checksummedAddress(lower: string): string {
  const digits = lower.slice(2);
  const hash = bytesToHex(keccak_256(new TextEncoder().encode(digits)));
  return `0x${Array.from(digits, (digit, i) => (Number.parseInt(hash[i], 16) >= 8 ? digit.toUpperCase() : digit)).join('')}`;
}
