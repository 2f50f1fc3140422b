// A mirror in a folder that any web server can serve: the log as mirror.ts publishes it, and the blobs that its events name, as blobs/<hash>.
import { join, relative, resolve } from 'node:path';
import { decodeEvent } from '../core/codec.ts';
import { blobsNamedBy } from '../core/events.ts';
import { partsNamedIn } from '../games/state.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { LedgerError } from '../ledger/errors.ts';
import { type FolderFiles, openFolderFiles } from '../ledger/folder-files.ts';
import { PART_BYTES } from '../model/tensor-manifest.ts';
import { type Clock, sleep } from '../protocol/clock.ts';
import { HASH_FORM } from '../protocol/hash.ts';
import { HubError } from './errors.ts';
import type { EventLog } from './log-writer.ts';
import { keepMirrored, type Mirror, type MirrorOptions } from './mirror.ts';
import { namedThrough } from './sweep.ts';

/** Entries read in one turn of the event loop: a few milliseconds. */
const PAGE = 256;
/** How often blobs that the hub keeps no longer are removed: until then their space is not free. */
const REMOVE_EVERY_MS = 10 * 60_000;

export interface FolderMirrorOptions extends Omit<MirrorOptions, 'files' | 'named' | 'onPublished'> {
  readonly log: MirrorOptions['log'] & Pick<EventLog, 'read'>;
  readonly blobs: BlobStore;
  /** The hub's own folder, which must not be served. */
  readonly hub_folder: string;
}

/**
 * Publishes into a folder until it is closed. Throws HubError `bad-folder` where the hub's own folder would be served, or the folder cannot
 * be written.
 */
export async function openFolderMirror(folder: string, options: FolderMirrorOptions): Promise<Mirror> {
  const { hub_folder } = options;
  const inside = relative(resolve(folder), resolve(hub_folder));
  if (inside === '' || !/^\.\.([/\\]|$)|^[a-z]:/i.test(inside)) {
    const message = `the mirror ${folder} would serve the hub's own folder, with its key: give another folder`;
    throw new HubError('bad-folder', message, { folder });
  }
  const files = await openFolderFiles(folder).catch((error) => {
    throw new HubError('bad-folder', `cannot use ${folder}: ${(error as Error).message}`, { folder });
  });
  const blobs = mirroredBlobs(files, options);
  return keepMirrored({ ...options, files, named: blobs.putNamed, onPublished: blobs.removeGone });
}

/** Keeps beside the log what its events name, as long as the hub keeps it. */
function mirroredBlobs(files: FolderFiles, options: FolderMirrorOptions) {
  const { log, blobs, hub_folder, clock, onError } = options;
  const nameOf = (hash: string): string => `blobs/${hash}`;

  /** Puts a blob there, if the hub has it: it may have deleted it since. A file of its own is linked, and needs no second place on the disk. */
  const put = async (hash: string): Promise<void> => {
    try {
      await files.adopt(nameOf(hash), join(hub_folder, 'blobs', hash.slice(0, 2), hash.slice(2, 4), hash));
      return;
    } catch (error) {
      if (!(error instanceof LedgerError) || error.details.errno !== 'ENOENT') throw error;
    }
    try {
      const bytes = await blobs.get(hash);
      if (bytes) await files.create(nameOf(hash), bytes);
    } catch (error) {
      // A damaged blob is the hub's trouble, and no reason to keep the log from readers.
      if (!(error instanceof LedgerError) || error.code !== 'blob-corrupt') throw error;
      onError(error, 'publishing a blob');
    }
  };

  const partsOf = async (hash: string): Promise<readonly string[]> => {
    const size_bytes = await blobs.sizeOf(hash);
    const bytes = size_bytes !== null && size_bytes <= PART_BYTES ? await blobs.get(hash) : null;
    return bytes ? partsNamedIn(bytes) : [];
  };

  let removed_ms = clock.elapsed_ms();
  return {
    async putNamed(from: number, to: number): Promise<void> {
      const { names, models, created } = await namesIn(log, from, to, clock);
      for (const model of models) for (const part of await partsOf(model)) names.add(part);
      if (created.length > 0) {
        const all = new Set<string>();
        for await (const hash of blobs.list()) all.add(hash);
        for (const hash of await namedThrough(blobs, created, all)) names.add(hash);
      }
      for (const hash of names) await put(hash);
    },
    async removeGone(): Promise<void> {
      if (clock.elapsed_ms() - removed_ms < REMOVE_EVERY_MS) return;
      removed_ms = clock.elapsed_ms();
      for (const name of await files.list('blobs')) {
        if (HASH_FORM.test(name) && !(await blobs.has(name))) await files.remove(nameOf(name));
      }
    },
  };
}

/** What events name: blobs, those of them that are models which may be in parts, and the settings and first models of new runs. */
async function namesIn(log: Pick<EventLog, 'read'>, from: number, to: number, clock: Clock) {
  const names = new Set<string>();
  const models = new Set<string>();
  const created: string[] = [];
  for (let first = from; first < to; first += PAGE) {
    for (const bytes of log.read(first, Math.min(to, first + PAGE))) {
      // The hub verified every signature before it wrote the event.
      const { body } = decodeEvent(bytes, { verify_signature: false });
      for (const hash of blobsNamedBy(body)) names.add(hash);
      if (body.type === 'run.created') created.push(body.params, body.model);
      if (body.type === 'run.part') created.push(...body.blobs);
      if (body.type === 'round.merged' && body.checkpoint) {
        models.add(body.model);
        if (body.rest) models.add(body.rest);
      }
    }
    await sleep(clock, 0);
  }
  return { names, models, created };
}
