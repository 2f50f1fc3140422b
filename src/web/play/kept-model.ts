// The newest model that this browser has written with, by run: Play opens it when the hub is unreachable.
import { bytesToHex } from '@noble/hashes/utils.js';
import { z } from 'zod';
import type { BlobCache } from '../../peer/blobs.ts';
import { sha256Beside } from '../../protocol/hash.ts';
import { count, hash } from '../../protocol/schemas.ts';
import type { TabStore } from '../tab/store.ts';

const KeptModelSchema = z.object({
  game: z.string(),
  /** The run's settings, a blob. */
  params: hash,
  /** The model, a blob. */
  model: hash,
  merged_rounds: count,
});
export type KeptModel = z.infer<typeof KeptModelSchema>;

const keyOf = (run: string): string => `play/${run}`;

/** The stored model of a run; null where there is none. Never rejects. */
export async function keptModel(store: TabStore, run: string): Promise<KeptModel | null> {
  const kept = KeptModelSchema.safeParse(await store.get('drawer', keyOf(run)).catch(() => undefined));
  return kept.success ? kept.data : null;
}

/** Stores a model with the blobs that `putAll` puts. Resolves to whether it will be there after a reload; never rejects. */
export async function keepModel(
  store: TabStore,
  blobs: BlobCache,
  run: string,
  kept: KeptModel,
  putAll: (put: (bytes: Uint8Array) => Promise<string>) => Promise<unknown>,
): Promise<boolean> {
  if (store.temporary) return false;
  try {
    const hashes: string[] = [];
    await putAll(async (bytes) => {
      const hash = bytesToHex(await sha256Beside(bytes));
      await blobs.put(hash, bytes.slice());
      hashes.push(hash);
      return hash;
    });
    // The last blobs may have displaced the first ones, if the model is larger than the cache.
    for (const hash of hashes) if ((await store.get('blob_uses', hash)) === undefined) return false;
    await store.put('drawer', keyOf(run), kept);
    return true;
  } catch {
    return false; // the disk is full
  }
}
