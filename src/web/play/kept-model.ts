// The newest model that this browser has written with, by run: what Play opens when the hub is away.
import { z } from 'zod';
import type { BlobCache } from '../../peer/blobs.ts';
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

/** Keeps a model with its bytes. Resolves with whether it will be there after a reload; never rejects. */
export async function keepModel(
  store: TabStore,
  blobs: BlobCache,
  run: string,
  kept: KeptModel,
  bytes: Uint8Array,
): Promise<boolean> {
  if (store.temporary) return false;
  try {
    await blobs.put(kept.model, bytes);
    if ((await store.get('blob_uses', kept.model)) === undefined) return false; // larger than what is kept
    await store.put('drawer', keyOf(run), kept);
    return true;
  } catch {
    return false; // a full disk
  }
}
