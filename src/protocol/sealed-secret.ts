// A secret key encrypted with a passphrase: scrypt (RFC 7914) derives the key, AES-256-GCM (NIST SP 800-38D) encrypts and binds it to the id.
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { ProtocolError } from './errors.ts';

export interface ScryptCost {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** 128 MiB and about half a second for each guess: OWASP's recommendation for scrypt. */
const COST = { n: 1 << 17, r: 8, p: 1 } as const;
const MAX_MEMORY_BYTES = 256 << 20;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

/** The form in a key file. The cost is stored too, so that it can grow; a file cannot demand more than this build allows. */
export const SealedSecretSchema = z.strictObject({
  kdf: z.literal('scrypt'),
  n: z.int().min(2).max(COST.n),
  r: z.int().min(1).max(COST.r),
  p: z.int().min(1).max(COST.p),
  salt: hex(SALT_BYTES),
  nonce: hex(NONCE_BYTES),
  /** The encrypted 32 bytes and the tag. */
  sealed: hex(32 + TAG_BYTES),
});
export type SealedSecret = z.infer<typeof SealedSecretSchema>;

function keyOf(passphrase: string, salt: Uint8Array, { n, r, p }: ScryptCost): Promise<Buffer> {
  // The same passphrase typed on another machine may come in another Unicode normal form.
  const words = passphrase.normalize('NFKC');
  return new Promise((resolve, reject) => {
    scrypt(words, salt, 32, { N: n, r, p, maxmem: MAX_MEMORY_BYTES }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

/** Encrypts the secret of `id`; only tests pass a smaller `cost`. */
export async function sealSecret(
  id: string,
  secret: Uint8Array,
  passphrase: string,
  cost: ScryptCost = COST,
): Promise<SealedSecret> {
  const [salt, nonce] = [randomBytes(SALT_BYTES), randomBytes(NONCE_BYTES)];
  const cipher = createCipheriv('aes-256-gcm', await keyOf(passphrase, salt, cost), nonce).setAAD(Buffer.from(id));
  const sealed = Buffer.concat([cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
  return { kdf: 'scrypt', ...cost, salt: bytesToHex(salt), nonce: bytesToHex(nonce), sealed: bytesToHex(sealed) };
}

/** Decrypts it. Throws ProtocolError `wrong-passphrase`, also for a changed file: the cipher cannot tell one from the other. */
export async function openSecret(id: string, sealed: SealedSecret, passphrase: string): Promise<Uint8Array> {
  const bytes = hexToBytes(sealed.sealed);
  const key = await keyOf(passphrase, hexToBytes(sealed.salt), sealed);
  const decipher = createDecipheriv('aes-256-gcm', key, hexToBytes(sealed.nonce)).setAAD(Buffer.from(id));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return new Uint8Array(Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]));
  } catch {
    throw new ProtocolError('wrong-passphrase', `the passphrase does not open the key of ${id.slice(0, 12)}`);
  }
}
