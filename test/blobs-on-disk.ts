// The blobs in a hub's folder, as somebody with the disk could read and change them: each is a file, or if it is small a row of one SQLite file.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openSmallBlobs, SMALL_BLOBS_FILE } from '../src/ledger/small-blobs.ts';

const fileOf = (folder: string, hash: string): string =>
  join(folder, 'blobs', hash.slice(0, 2), hash.slice(2, 4), hash);

export function blobOnDisk(folder: string, hash: string): Uint8Array {
  const path = fileOf(folder, hash);
  if (existsSync(path)) return new Uint8Array(readFileSync(path));
  const small = openSmallBlobs(join(folder, 'blobs', SMALL_BLOBS_FILE), { make: false, read_only: true });
  const bytes = small.get(hash);
  small.close();
  if (bytes) return bytes;
  throw new Error(`no blob ${hash} in ${folder}`);
}

/** Puts bytes under a blob's name; null removes it. */
export function setBlobOnDisk(folder: string, hash: string, bytes: Uint8Array | null): void {
  const path = fileOf(folder, hash);
  const small = join(folder, 'blobs', SMALL_BLOBS_FILE);
  rmSync(path, { force: true });
  if (existsSync(small)) {
    const db = new DatabaseSync(small);
    db.prepare('DELETE FROM blobs WHERE hash = ?').run(Buffer.from(hash, 'hex'));
    db.close();
  }
  if (!bytes) return;
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, bytes);
}
