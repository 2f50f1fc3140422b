// What a tab stores between rounds and visits: blobs within a budget, the game's drawer, receipts, the device's certificate.
import { z } from 'zod';
import { openCertificate } from '../../core/devices.ts';
import { type Drawer, drawerOver } from '../../games/drawer.ts';
import type { Receipts } from '../../ledger/receipts.ts';
import type { BlobCache } from '../../peer/blobs.ts';
import type { CertificateStore } from '../../peer/device-binding.ts';
import type { TabStore } from './store.ts';

/** The tab's share of the device's disk for blobs, and at most this part of the browser's quota. */
const CACHE_BYTES = 256 << 20;
const CACHE_PART = 0.25;

const UseSchema = z.object({ size_bytes: z.number(), used_ms: z.number() });
const KeptCertificateSchema = z.object({ hub: z.string(), bytes: z.instanceof(Uint8Array) });

/** Blobs by hash; the least recently used go first. */
export function openTabBlobs(store: TabStore, now_ms: () => number, limit_bytes = cacheBudget): BlobCache {
  const use = (hash: string, size_bytes: number) =>
    store.put('blob_uses', hash, { size_bytes, used_ms: now_ms() } satisfies z.infer<typeof UseSchema>);
  return {
    async get(hash) {
      const bytes = await store.get('blobs', hash);
      if (!(bytes instanceof Uint8Array)) return null;
      await use(hash, bytes.length);
      return bytes;
    },
    async put(hash, bytes) {
      const budget_bytes = await limit_bytes();
      if (bytes.length > budget_bytes) return;
      await makeRoom(store, budget_bytes - bytes.length);
      await store.put('blobs', hash, bytes);
      await use(hash, bytes.length);
    },
  };
}

async function cacheBudget(): Promise<number> {
  const quota = await navigator.storage?.estimate().then(
    ({ quota }) => quota,
    () => undefined,
  );
  return Math.min(CACHE_BYTES, (quota ?? CACHE_BYTES) * CACHE_PART);
}

async function makeRoom(store: TabStore, left_bytes: number): Promise<void> {
  const uses = (await store.entries('blob_uses')).map(([hash, value]) => {
    const use = UseSchema.safeParse(value).data ?? { size_bytes: 0, used_ms: 0 };
    return { hash, ...use };
  });
  let total_bytes = uses.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
  for (const { hash, size_bytes } of uses.sort((a, b) => a.used_ms - b.used_ms)) {
    if (total_bytes <= left_bytes) return;
    await store.delete('blobs', hash);
    await store.delete('blob_uses', hash);
    total_bytes -= size_bytes;
  }
}

/** The drawer of one run. `onLost` is called with the reason when writing fails, once until it succeeds again. */
export function openTabDrawer(store: TabStore, run: string, onLost: (why: Error) => void): Drawer {
  return drawerOver(
    {
      async read(name) {
        const kept = await store.get('drawer', `${run}/${name}`).catch(() => undefined);
        return kept instanceof Uint8Array ? kept : null;
      },
      write: (name, bytes) => store.put('drawer', `${run}/${name}`, bytes),
      remove: (name) => store.delete('drawer', `${run}/${name}`),
    },
    onLost,
  );
}

/** The receipts of one run, which prove to anybody what the hub had accepted. */
export function openTabReceipts(store: TabStore, run: string): Receipts {
  return { keep: (event, receipt) => store.put('receipts', `${run}/${receipt.event_id}`, { event, receipt }) };
}

/** The certificate of the device, by the device's id. */
export function openTabCertificates(store: TabStore, device: string): CertificateStore {
  return {
    async read() {
      const kept = KeptCertificateSchema.safeParse(await store.get('certificates', device).catch(() => undefined));
      if (!kept.success) return null;
      const opened = openCertificate(kept.data.bytes, device);
      return 'code' in opened ? null : { ...kept.data, ...opened };
    },
    // A certificate that could not be stored is made again at the next visit.
    keep: (hub, bytes) => store.put('certificates', device, { hub, bytes }).catch(() => {}),
  };
}
