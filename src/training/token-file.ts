// The tokens of a text in an unlinked file: nothing is left of it, however the process ends.
import { mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { PRIVATE_FOLDER } from '../protocol/private-files.ts';
import { ARRAYS, type TokenStore } from './token-store.ts';

/** How much waits in memory before it is written. */
const BUFFERED_TOKENS = 2 ** 20;

/** A store in a file of its own in a folder. Throws errors of the file system. */
export async function fileTokens(folder: string, token_bytes: 1 | 2 | 4): Promise<TokenStore> {
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
  const path = join(folder, `.tokens-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const file = await open(path, 'wx+', 0o600);
  const unlinked = await unlink(path).then(
    () => true,
    () => false, // some systems cannot unlink an open file
  );
  const buffer = new ARRAYS[token_bytes](BUFFERED_TOKENS);
  let written = 0;
  let waiting = 0;
  const flush = async (): Promise<void> => {
    await write(new Uint8Array(buffer.buffer, 0, waiting * token_bytes));
    written += waiting;
    waiting = 0;
  };
  const write = async (bytes: Uint8Array): Promise<void> => {
    for (let at = 0; at < bytes.length; ) {
      at += (await file.write(bytes, at, bytes.length - at, written * token_bytes + at)).bytesWritten;
    }
  };
  return {
    get length() {
      return written + waiting;
    },
    async push(ids) {
      for (let at = 0; at < ids.length; ) {
        const count = Math.min(ids.length - at, BUFFERED_TOKENS - waiting);
        const part = ids instanceof Uint32Array ? ids.subarray(at, at + count) : ids.slice(at, at + count);
        buffer.set(part, waiting);
        waiting += count;
        at += count;
        if (waiting === BUFFERED_TOKENS) await flush();
      }
    },
    async read(from, count) {
      if (waiting > 0) await flush();
      const bytes = new Uint8Array(count * token_bytes);
      for (let at = 0; at < bytes.length; ) {
        const { bytesRead } = await file.read(bytes, at, bytes.length - at, from * token_bytes + at);
        if (bytesRead === 0) throw new RangeError(`tokens ${from} to ${from + count} of ${written}`);
        at += bytesRead;
      }
      return bytes;
    },
    async close() {
      await file.close();
      if (!unlinked) await unlink(path).catch(() => {}); // a file that stays in the cache does no harm
    },
  };
}
