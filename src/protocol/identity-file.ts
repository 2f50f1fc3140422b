// The identity of a device in a file (Node): made on first use, readable by its owner only, never overwritten.
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { ProtocolError } from './errors.ts';
import { type DrawingIdentity, generateSecret, identityFromSecret, type OpeningIdentity } from './identity.ts';
import { passphraseFor } from './passphrase-source.ts';
import { PRIVATE_FILE, PRIVATE_FOLDER } from './private-files.ts';
import { hash } from './schemas.ts';
import { openSecret, type ScryptCost, type SealedSecret, SealedSecretSchema, sealSecret } from './sealed-secret.ts';

const OTHERS = 0o077;
/** The file is about 220 bytes. A much larger file is not an identity file, and is not read into memory. */
const MAX_FILE_BYTES = 4_096;

/** The id stands beside the secret so that a person can read it, and so that a damaged secret is noticed. */
const identityFileSchema = z.discriminatedUnion('format', [
  z.strictObject({ format: z.literal('potluck-identity-v1'), id: hash, secret: hash }),
  z.strictObject({ format: z.literal('potluck-locked-identity-v1'), id: hash, ...SealedSecretSchema.shape }),
]);

/**
 * The identity kept at `path`. On first use it is created with mode 0600. Processes that race for the first use all get the same identity.
 * Throws ProtocolError: `identity-file-corrupt`, `identity-file-permissions` (others may read it), `identity-file-unreadable`,
 * `identity-locked`, `wrong-passphrase`.
 */
export async function loadOrCreateIdentity(path: string): Promise<DrawingIdentity & OpeningIdentity> {
  if (!(await exists(path))) await createIdentityFile(path, generateSecret());
  return loadIdentity(path);
}

/** The identity kept at `path`, which must exist. Throws as loadOrCreateIdentity does. */
export async function loadIdentity(path: string): Promise<DrawingIdentity & OpeningIdentity> {
  return identityFromSecret(await readIdentitySecret(path));
}

/** Whose key is kept at `path`, also where it is under a passphrase; null: none is. Throws as readIdentitySecret does. */
export async function idInFile(path: string): Promise<string | null> {
  return (await exists(path)) ? (await readIdentityFile(path)).file.id : null;
}

/** The secret kept at `path`, for exporting it to another device. Throws as loadOrCreateIdentity does. */
export async function readIdentitySecret(path: string): Promise<Uint8Array> {
  const { file, mode } = await readIdentityFile(path);
  const secret = 'secret' in file ? hexToBytes(file.secret) : await unlocked(path, file);
  if (identityFromSecret(secret).id !== file.id) throw corrupt(path, 'the secret does not belong to the id');
  // The mode is checked last: if the file is not an identity file, its mode does not matter.
  if (process.platform !== 'win32' && (mode & OTHERS) !== 0) {
    const found = (mode & 0o777).toString(8).padStart(4, '0');
    throw new ProtocolError(
      'identity-file-permissions',
      `${path} holds a secret key but others may use it (mode ${found}): run chmod 600 on it`,
      { path, mode: found },
    );
  }
  return secret;
}

async function readIdentityFile(path: string): Promise<{ file: z.infer<typeof identityFileSchema>; mode: number }> {
  if (!(await exists(path))) {
    throw new ProtocolError('identity-file-unreadable', `no key is kept at ${path}`, { path, errno: 'ENOENT' });
  }
  const { mode, size } = await readable(path, () => stat(path));
  if (size > MAX_FILE_BYTES) throw corrupt(path, `expected at most ${MAX_FILE_BYTES} bytes, got ${size}`);
  const text = await readable(path, () => readFile(path, 'utf8'));
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw corrupt(path, 'expected JSON'); // The parser's message would quote the secret.
  }
  const parsed = identityFileSchema.safeParse(json);
  if (!parsed.success) {
    const fields = parsed.error.issues.map((issue) => issue.path.join('.') || 'the object').join(', ');
    throw corrupt(path, `expected format, id and secret as written, wrong: ${fields}`);
  }
  return { file: parsed.data, mode };
}

async function unlocked(path: string, file: SealedSecret & { readonly id: string }): Promise<Uint8Array> {
  const passphrase = await passphraseFor(path);
  if (passphrase === null) {
    throw new ProtocolError(
      'identity-locked',
      `the key in ${path} is under a passphrase: set POTLUCK_PASSPHRASE, or start the command in a terminal`,
      {
        path,
      },
    );
  }
  return openSecret(file.id, file, passphrase);
}

/**
 * Encrypts the key at `path` with a passphrase; null removes the passphrase. The file is replaced in one step, after what was written has
 * been read back. Throws as readIdentitySecret does.
 */
export async function relockIdentityFile(
  path: string,
  passphrase: string | null,
  cost?: ScryptCost,
): Promise<DrawingIdentity> {
  const secret = await readIdentitySecret(path);
  const identity = identityFromSecret(secret);
  const file =
    passphrase === null
      ? { format: 'potluck-identity-v1', id: identity.id, secret: bytesToHex(secret) }
      : {
          format: 'potluck-locked-identity-v1',
          id: identity.id,
          ...(await sealSecret(identity.id, secret, passphrase, cost)),
        };
  return readable(path, async () => {
    const aside = await writeAside(dirname(path), `${JSON.stringify(file, null, 2)}\n`);
    try {
      const written = identityFileSchema.parse(JSON.parse(await readFile(aside, 'utf8')));
      if (!('secret' in written)) await openSecret(identity.id, written, passphrase!);
      await rename(aside, path);
    } finally {
      await unlink(aside).catch(() => {}); // the rename has already moved it
    }
    return identity;
  });
}

/** Writes a file that only this user can read, and flushes it to disk before it gets its final name. */
async function writeAside(folder: string, text: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
  const aside = join(folder, `.identity-${process.pid}-${randomBytes(8).toString('hex')}`);
  const file = await open(aside, 'wx', PRIVATE_FILE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  return aside;
}

/**
 * Writes a secret to a new file, for importing it. The file is written whole or not at all, and an existing file is left as it is.
 * @returns whether this call made the file.
 * Throws ProtocolError `bad-secret`, `identity-file-unreadable`.
 */
export async function createIdentityFile(path: string, secret: Uint8Array): Promise<boolean> {
  const { id } = identityFromSecret(secret);
  const text = `${JSON.stringify({ format: 'potluck-identity-v1', id, secret: bytesToHex(secret) }, null, 2)}\n`;
  return readable(path, async () => {
    const aside = await writeAside(dirname(path), text);
    try {
      return await publish(aside, path);
    } finally {
      await unlink(aside).catch(() => {}); // the link has already given it its name
    }
  });
}

/** Gives the finished file its name, unless another process was faster. A hard link does so in one step and never replaces a file. */
async function publish(aside: string, path: string): Promise<boolean> {
  try {
    await link(aside, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'EACCES') throw error;
  }
  // No hard links here (FAT, Android): only the check before tells two first uses at the same instant apart.
  if (await exists(path)) return false;
  await rename(aside, path);
  return true;
}

async function exists(path: string): Promise<boolean> {
  return readable(path, () =>
    stat(path).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return false;
        throw error;
      },
    ),
  );
}

async function readable<T>(path: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ProtocolError('identity-file-unreadable', `identity file ${path}: ${message}`, {
      path,
      errno: code ?? null,
    });
  }
}

function corrupt(path: string, what: string): ProtocolError {
  return new ProtocolError('identity-file-corrupt', `${path} is no identity file: ${what}`, { path });
}
