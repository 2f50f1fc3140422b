// Reads a mirror of a public log: the files of C2SP tlog-tiles and the blobs, behind any web server or in a folder. No hub is asked anything.
//
// A mirror is not the hub, and may lag behind it, lose files or change them. Only what carries the hub's signature is held against the hub.
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { TILE_WIDTH, tilePath } from '../ledger/tiles.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { openLine } from '../protocol/line.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { AuditFailure, type PublicBlobs, type PublicLog, PublicLogError } from './public-log.ts';
import { type GetFile, getBytes, hubBlobs, openFiles } from './public-log-http.ts';
import { headOf } from './seen-heads.ts';

/** How long a mirror may take to show a head that was seen elsewhere: a bucket gets one each five seconds, and copies of its checkpoint may be a second old. */
const CATCH_UP = { tries: 12, wait_ms: 1000 } as const;
const CHECKPOINT = 'log/checkpoint';

/** Whether a folder is a mirror. */
export const isMirrorFolder = (folder: string): boolean => existsSync(join(folder, CHECKPOINT));

/**
 * Opens a mirror. @param where an address (http…) or a folder
 * @param expected the hub's id, if the caller knows it
 * @param seen_size how many entries the hub is known to have signed: an older mirror is given a few seconds
 * Throws PublicLogError (`old-mirror` where it is older than its own cosigned head), AuditFailure `bad-checkpoint`.
 */
export async function openMirror(
  where: string,
  expected?: string,
  seen_size = 0,
  wait_ms: number = CATCH_UP.wait_ms,
): Promise<PublicLog> {
  const place = where.replace(/\/+$/, '');
  const at = /^https?:/i.test(place) ? webMirror(place) : folderMirror(place);
  for (let tries = 1; ; tries++) {
    const files = await openFiles(place, at.get, expected);
    // Who cosigned it is another question (witnesses.ts).
    const cosigned = files.cosigned === null ? null : headOf(files.cosigned, files.hub);
    const least = Math.max(seen_size, cosigned?.size ?? 0);
    if (files.size < least && tries < CATCH_UP.tries) {
      await new Promise((resolve) => setTimeout(resolve, wait_ms));
      continue;
    }
    if (cosigned && files.size < cosigned.size)
      throw oldMirror(place, files.size, cosigned.size, 'its own log/cosigned');
    return {
      ...files,
      ...at.blobs,
      is_mirror: true,
      where: place,
      tile: async (level, index, width) => {
        const tile = await files.tile(level, index, width);
        const end = (index * TILE_WIDTH + width) * TILE_WIDTH ** level;
        const is_last = Math.floor(files.size / TILE_WIDTH ** level) === index * TILE_WIDTH + width;
        if (tile || end > files.size || (width < TILE_WIDTH && !is_last)) return tile;
        const path = tilePath(level, index, width);
        const message = `${path} is not there, and the checkpoint of ${files.size} entries needs it`;
        throw new AuditFailure('wrong-tile', message, { index: index * TILE_WIDTH ** (level + 1), level, tile: path });
      },
      status: async () => null,
      close() {},
    };
  }
}

/** @param whose who has seen the newer head, in words */
export function oldMirror(where: string, size: number, seen_size: number, whose: string): PublicLogError {
  const message = `${where} is an old mirror: its ${CHECKPOINT} has ${size} entries, and ${whose} shows ${seen_size} that the hub has signed`;
  return new PublicLogError('old-mirror', message, { where, size, seen_size });
}

/** The blobs of a mirror in a folder, as blobs/<hash>. */
export const mirrorFolderBlobs = (folder: string): PublicBlobs => folderMirror(folder).blobs;

function webMirror(url: string): { get: GetFile; blobs: PublicBlobs } {
  const line = openLine();
  return { get: (path, max_bytes) => getBytes(line, `${url}/${path}`, max_bytes), blobs: hubBlobs(url) };
}

function folderMirror(folder: string): { get: GetFile; blobs: PublicBlobs } {
  const get: GetFile = async (path, max_bytes) => {
    const file = await open(join(folder, path)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
      throw new PublicLogError('unreachable', `${path} in ${folder} could not be read: ${error.message}`, { folder });
    });
    try {
      if (file === null) return null;
      const { size } = await file.stat();
      if (size <= max_bytes) return new Uint8Array(await file.readFile());
      const message = `expected at most ${max_bytes} bytes in ${path} of ${folder}, got ${size}`;
      throw new PublicLogError('too-large', message, { folder });
    } finally {
      await file?.close();
    }
  };
  const blob = async (hash: string): Promise<Uint8Array | null> => {
    const bytes = await get(`blobs/${hash}`, WIRE_LIMITS.blob_bytes);
    const found = bytes === null ? hash : sha256Hex(bytes);
    if (found === hash) return bytes;
    throw new AuditFailure('corrupt-blob', `the bytes of blob ${hash} have the hash ${found}`, { blob: hash, found });
  };
  return { get, blobs: { blob } };
}
