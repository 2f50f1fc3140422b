// The newest model that this browser has written with, by run: what Play opens when the hub is away.
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

/** What is kept of a run; null where nothing is. Never rejects. */
export async function keptModel(store: TabStore, run: string): Promise<KeptModel | null> {
  const kept = KeptModelSchema.safeParse(await store.get('drawer', keyOf(run)).catch(() => undefined));
  return kept.success ? kept.data : null;
}

/** Keeps a model with the blobs that `putAll` puts. Resolves with whether it will be there after a reload; never rejects. */
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
    // The last ones may have taken the place of the first: a model larger than what is kept.
    for (const hash of hashes) if ((await store.get('blob_uses', hash)) === undefined) return false;
    await store.put('drawer', keyOf(run), kept);
    return true;
  } catch {
    return false; // a full disk
  }
}
