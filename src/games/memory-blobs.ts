// Blobs by their hash in a plain map, from which arenas and benches read at once and without copies; ledger/blob-store.ts has a store of promises.
import { sha256Hex } from '../protocol/hash.ts';
import type { PutBlob } from './state.ts';

export interface MemoryBlobs {
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  readonly put: PutBlob;
}

export function memoryBlobs(): MemoryBlobs {
  const blobs = new Map<string, Uint8Array>();
  return {
    blobs,
    async put(bytes) {
      const hash = sha256Hex(bytes);
      blobs.set(hash, bytes);
      return hash;
    },
  };
}
