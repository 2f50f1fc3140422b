// The tab's two keys: the device's, which never leaves the browser, and the person's, which 24 words carry to another device.
import { bytesToHex } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { phraseOf, secretOfPhrase } from '../../owner/ownership-phrase.ts';
import { generateSecret, type Identity, identityFromSecret, type OpeningIdentity } from '../../protocol/identity.ts';
import { KEY_NAMES } from './known-identity.ts';
import { openTabStore, type TabStore } from './store.ts';

const { device: DEVICE, owner: OWNER } = KEY_NAMES;

/** Without https even the class is missing. */
const isCryptoKey = (value: unknown): boolean => typeof CryptoKey !== 'undefined' && value instanceof CryptoKey;

/** The stored form: inside WebCrypto, where no script can read it, or a seed where WebCrypto has no Ed25519 (or the page no https). */
const DeviceKeySchema = z.union([
  z.object({ id: z.string(), private_key: z.custom<CryptoKey>(isCryptoKey) }),
  z.object({ id: z.string(), secret: z.instanceof(Uint8Array) }),
]);
type DeviceKey = z.infer<typeof DeviceKeySchema>;
const OwnerKeySchema = z.object({ id: z.string(), secret: z.instanceof(Uint8Array) });

async function makeDeviceKey(): Promise<DeviceKey> {
  try {
    const { privateKey, publicKey } = (await crypto.subtle.generateKey('Ed25519', false, ['sign'])) as CryptoKeyPair;
    const id = bytesToHex(new Uint8Array(await crypto.subtle.exportKey('raw', publicKey)));
    return { id, private_key: privateKey };
  } catch {
    const secret = new Uint8Array(generateSecret());
    return { id: identityFromSecret(secret).id, secret };
  }
}

/** This browser's key; made on first use. */
export async function openDeviceKey(store: TabStore): Promise<Identity> {
  const kept = DeviceKeySchema.safeParse(await store.get('keys', DEVICE));
  const key = kept.success ? kept.data : await keepNew(store, await makeDeviceKey());
  if ('secret' in key) return identityFromSecret(key.secret);
  return {
    id: key.id,
    sign: async (message) => {
      const signature = await crypto.subtle.sign('Ed25519', key.private_key, message as Uint8Array<ArrayBuffer>);
      return new Uint8Array(signature);
    },
  };
}

/** A stored key wins, because another tab may have been faster. A key that cannot be stored is used for as long as the tab lives. */
async function keepNew(store: TabStore, fresh: DeviceKey): Promise<DeviceKey> {
  const kept = DeviceKeySchema.safeParse(await store.putIfAbsent('keys', DEVICE, fresh).catch(() => fresh));
  if (kept.success) return kept.data;
  await store.put('keys', DEVICE, fresh); // the stored value was not a key
  return fresh;
}

async function ownerSecret(store: TabStore): Promise<Uint8Array> {
  const kept = OwnerKeySchema.safeParse(await store.get('keys', OWNER));
  if (kept.success) return kept.data.secret;
  const secret = generateSecret();
  const fresh = { id: identityFromSecret(secret).id, secret };
  const agreed = OwnerKeySchema.safeParse(await store.putIfAbsent('keys', OWNER, fresh).catch(() => fresh));
  if (agreed.success) return agreed.data.secret;
  await store.put('keys', OWNER, fresh);
  return secret;
}

/** The person that this browser earns for; made on first use. */
export async function openOwnerKey(store: TabStore): Promise<OpeningIdentity> {
  return identityFromSecret(await ownerSecret(store));
}

/** For the page: the 24 words of the person's key, which is made if missing. Anybody who reads them, also as a QR code, is that person. */
export async function exportIdentity(): Promise<{ readonly owner: string; readonly phrase: string }> {
  const secret = await ownerSecret(await openTabStore());
  return { owner: identityFromSecret(secret).id, phrase: phraseOf(secret) };
}

/**
 * For the page, while nothing contributes: from now on this browser works for the person of these 24 words. It gets a new device
 * key, because a device belongs to one person for good.
 * @returns the person's id. Throws OwnershipError `bad-phrase`, never quoting the words.
 */
export async function importIdentity(phrase: string): Promise<string> {
  const secret = secretOfPhrase(phrase);
  const { id } = identityFromSecret(secret);
  const store = await openTabStore();
  const present = OwnerKeySchema.safeParse(await store.get('keys', OWNER));
  if (present.success && present.data.id === id) return id;
  // The old keys are moved aside and never deleted, because their owner would lose what they hold.
  if (present.success) await store.put('keys', `replaced-${present.data.id}`, present.data);
  await store.put('keys', OWNER, { id, secret });
  await store.delete('keys', DEVICE);
  return id;
}
