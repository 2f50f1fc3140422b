// Files that anybody can read without asking a hub: a bucket behind a CDN, or a folder behind any web server.
import { LedgerError } from './errors.ts';

/** Names are paths as the hub serves them over HTTP, without the first slash: `log/checkpoint`, `log/tile/0/x001/067`, `blobs/<hash>`. */
export interface PublicFiles {
  /**
   * Makes a file whose content follows from its name and never changes. Making it again does no harm. Throws LedgerError `file-differs` where
   * other bytes are there, `write-failed`.
   */
  create(name: string, bytes: Uint8Array): Promise<void>;
  /** Puts a file that changes in place of the one before, whole. `max_age_s`: how old a copy of it may be. Throws LedgerError `write-failed`. */
  replace(name: string, bytes: Uint8Array, max_age_s: number): Promise<void>;
  /** null where there is no such file. Throws LedgerError `read-failed`. */
  get(name: string): Promise<Uint8Array | null>;
  /** Removes a file that nobody needs any more, if it is there; without it such files stay. Throws LedgerError `write-failed`. */
  remove?(name: string): Promise<void>;
}

/** What `create` throws: the files there are of another log, or somebody has changed them. */
export function fileDiffers(name: string, expected: Uint8Array, found: Uint8Array): LedgerError {
  const what = found.length === expected.length ? 'other bytes' : `${found.length} bytes instead of ${expected.length}`;
  const message = `${name} is there with ${what}: these files are of another log, or were changed`;
  return new LedgerError('file-differs', message, { name });
}
