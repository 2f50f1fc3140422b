// Owners and devices on disk: the owner's key, the devices' folders, and the owner's address for settlements.
import { readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { OwnershipError } from '../audit/ownership-errors.ts';
import type { KeptCertificate } from '../peer/device-binding.ts';
import { readDeviceCertificate } from '../peer/device-certificates.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { utf8 } from '../protocol/hash.ts';
import { identityFromSecret } from '../protocol/identity.ts';
import { createIdentityFile, loadIdentity, readIdentitySecret } from '../protocol/identity-file.ts';

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
 * Makes a secret the key at `path`. If the same key is there already, nothing happens. Another key is moved aside under its own name, if
 * `force` is set; it is never deleted, because its owner would lose what it holds.
 * @returns the key's id, and the new path of the key that was there before
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
  await rename(path, aside); // unchanged: an encrypted key stays encrypted
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
  const hash = bytesToHex(keccak_256(utf8(digits)));
  return `0x${Array.from(digits, (digit, i) => (Number.parseInt(hash[i], 16) >= 8 ? digit.toUpperCase() : digit)).join('')}`;
}
