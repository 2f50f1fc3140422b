// What a ledger keeps in an S3 bucket beside blobs: the batches of its journal, created once, and files that anybody may read.
import { LedgerError } from '../errors.ts';
import { equalHashes } from '../merkle.ts';
import type { CreateOnlyObjects } from '../object-journal.ts';
import type { PublicFiles } from '../public-files.ts';
import { IMMUTABLE } from './blob-store.ts';
import type { S3 } from './client.ts';

/** Where the batches of a journal are. */
export const JOURNAL = 'journal/';

/** Objects under `journal/`. A rejection says nothing about the outcome, as openObjectJournal expects; it reads back and tries again. */
export function s3Objects(s3: S3): CreateOnlyObjects {
  return {
    create: (name, bytes) => s3.create(JOURNAL + name, bytes),
    get: (name) => s3.get(JOURNAL + name),
  };
}

/** Files under their own names. */
export function s3Files(s3: S3): PublicFiles {
  return {
    async create(name, bytes) {
      if ((await writing(name, () => createOrLook(s3, name, bytes))) === 'same') return;
      throw new LedgerError(
        'file-differs',
        `${name}: expected the bytes that follow from its name, found others in ${s3.where}`,
        { name },
      );
    },
    remove: (name) => writing(name, () => s3.delete(name)),
    replace: (name, bytes, max_age_s) =>
      writing(name, () => s3.put(name, bytes, { headers: { 'cache-control': `public, max-age=${max_age_s}` } })),
    async get(name) {
      try {
        return await s3.get(name);
      } catch (error) {
        throw new LedgerError('read-failed', `${name}: ${(error as Error).message}`, { name });
      }
    },
  };
}

/** How often a creation without an answer is made again; what is there by then decides. */
const TRIES = 4;

async function createOrLook(s3: S3, name: string, bytes: Uint8Array): Promise<'same' | 'other'> {
  for (let tries = 1; ; tries++) {
    try {
      if ((await s3.create(name, bytes, { headers: IMMUTABLE })) === 'created') return 'same';
    } catch (error) {
      if (tries === TRIES) throw error;
    }
    const there = await s3.get(name);
    if (there) return equalBytes(there, bytes) ? 'same' : 'other';
  }
}

const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && equalHashes(a, b);

async function writing<T>(name: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw new LedgerError('write-failed', `${name}: ${(error as Error).message}`, { name });
  }
}
