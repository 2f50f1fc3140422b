// Small blobs that come with events over a peer's connection: taken as uploads of its key, within the same limits, without a request of their own.
import { sha256Hex } from '../protocol/hash.ts';
import type { BlobServices } from './blob-services.ts';
import type { Uploader } from './unnamed-blobs.ts';

/** What taking enclosed blobs needs from a hub. */
export interface EnclosedServices
  extends Pick<BlobServices, 'blobs' | 'unnamed' | 'telemetry' | 'rates' | 'isKnown' | 'mustHaveRoom'> {
  /** Counts bytes that came up. */
  readonly onCarried?: (size_bytes: number) => void;
}

/** Keeps a blob; durable when resolved. Throws HubError `too-fast`, `too-much`, `disk-full`, and LedgerError as a put does. */
export type TakeEnclosed = (who: Uploader, bytes: Uint8Array) => Promise<void>;

export function enclosedTaker(hub: EnclosedServices): TakeEnclosed {
  const { blobs, unnamed, rates, telemetry } = hub;
  return async (who, bytes) => {
    rates.take('upload_address', who.address);
    rates.take('upload_key', who.peer);
    const size_bytes = bytes.length;
    const arriving = unnamed.arriving(who);
    try {
      arriving.grow(size_bytes);
      await hub.mustHaveRoom(size_bytes, hub.isKnown(who.peer) ? 'known' : 'stranger');
      const hash = sha256Hex(bytes);
      const draft = blobs.draft();
      await draft.write(bytes);
      const { known } = await unnamed.holding([hash], () => draft.keep());
      if (!known) unnamed.add(who, hash, size_bytes);
    } finally {
      arriving.end();
    }
    const seen = telemetry.get(who.peer);
    if (seen) seen.bytes_up += size_bytes;
    hub.onCarried?.(size_bytes);
  };
}
