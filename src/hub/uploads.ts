// Uploads in parts: a device on a bad line sends a blob piece by piece and goes on where it broke off. What has come lies on the disk.
import type { BlobDraft } from '../ledger/blob-store.ts';
import type { Clock } from '../protocol/clock.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import type { Arriving } from './unnamed-blobs.ts';

export const UPLOAD_LIMITS = {
  held_bytes: 4 * WIRE_LIMITS.blob_bytes, // of unfinished uploads, on the disk; beyond it the one that was quiet for the longest begins anew
  held: 3000, // unfinished uploads, each with up to 64 kB of memory, or a descriptor
  kept_ms: 10 * 60_000, // how long one may be quiet
} as const;
/** Strangers leave each other the room that is there, and take none of that of whoever takes part in a run. */
const HELD_OF_STRANGERS = 500;

/** What may be unfinished in a process that may have so many blobs open at once. */
export function unfinishedLimits(files: number) {
  return {
    known: { ...UPLOAD_LIMITS, held: Math.min(UPLOAD_LIMITS.held, Math.ceil(files / 2)) },
    strangers: { ...UPLOAD_LIMITS, held: Math.min(HELD_OF_STRANGERS, Math.ceil(files / 8)) },
  };
}

/** Which part of a blob a request brings (RFC 9110, section 14.4); `end` is the byte after it. */
export interface Part {
  readonly start: number;
  readonly end: number;
  readonly total: number;
}

/** The part that a Content-Range header names; null for one that names none. */
export function uploadedPart(header: string): Part | null {
  const found = /^bytes (\d{1,12})-(\d{1,12})\/(\d{1,12})$/.exec(header);
  if (!found) return null;
  const [start, last, total] = found.slice(1).map(Number);
  return start <= last && last < total ? { start, end: last + 1, total } : null;
}

/** A blob on its way in: what has come, and whom that counts against. */
export interface Upload {
  readonly draft: BlobDraft;
  readonly arriving: Arriving;
}

/** The right to go on with an upload. Nobody else has it until it is given back. */
export interface Claim extends Upload {
  /** What has come stays for the next part. The first of the two calls counts. */
  release(): void;
  /** The upload is over: nothing of it is remembered. What becomes of the draft is the caller's business. */
  end(): void;
}

export interface PartialUploads {
  /**
   * The upload `id` (whose, of what) that a part goes on with, or the bytes that have come where it does not go on there. Where another
   * request is at it, that one is ended: a device that comes back is not waited for twice.
   * @param onTaken the claim is wanted by a later request; end it soon
   */
  claim(
    id: string,
    part: Part,
    begin: () => Upload,
    onTaken: () => void,
  ): Promise<Claim | { readonly received_bytes: number }>;
}

interface Unfinished extends Upload {
  readonly total: number;
  touched_ms: number;
  /** Who is at it. */
  held: { readonly onTaken: () => void; readonly over: Promise<void> } | null;
}

export function openPartialUploads(
  clock: Clock,
  limits: { readonly held_bytes: number; readonly held: number; readonly kept_ms: number } = UPLOAD_LIMITS,
): PartialUploads {
  /** The one touched last at the end. */
  const unfinished = new Map<string, Unfinished>();

  const forget = (id: string): void => {
    const upload = unfinished.get(id);
    if (!upload) return;
    unfinished.delete(id);
    upload.arriving.end();
    upload.draft.discard().catch(() => {}); // a file that cannot be deleted now is at the next start
  };

  /** Forgets what was quiet for long, and the quietest while there is too much. */
  const makeRoom = (): void => {
    let held_bytes = 0;
    for (const { draft } of unfinished.values()) held_bytes += draft.size_bytes;
    for (const [id, { touched_ms, held, draft }] of unfinished) {
      if (held) continue;
      const old = clock.elapsed_ms() - touched_ms > limits.kept_ms;
      if (!old && held_bytes <= limits.held_bytes && unfinished.size < limits.held) return;
      held_bytes -= draft.size_bytes;
      forget(id);
    }
  };

  const claimed = (id: string, upload: Unfinished, onTaken: () => void): Claim => {
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const held = { onTaken, over };
    upload.held = held;
    /** False where it was given back before. */
    const giveBack = (): boolean => {
      if (upload.held !== held) return false;
      upload.held = null;
      upload.touched_ms = clock.elapsed_ms();
      resolve();
      return true;
    };
    return {
      draft: upload.draft,
      arriving: upload.arriving,
      release() {
        if (!giveBack()) return;
        unfinished.delete(id);
        unfinished.set(id, upload);
      },
      end() {
        if (!giveBack()) return;
        unfinished.delete(id);
        upload.arriving.end();
      },
    };
  };

  return {
    async claim(id, { start, total }, begin, onTaken) {
      for (let held = unfinished.get(id)?.held; held; held = unfinished.get(id)?.held) {
        held.onTaken();
        await held.over;
      }
      makeRoom();
      let upload = unfinished.get(id);
      if (upload && (upload.total !== total || start === 0)) {
        forget(id);
        upload = undefined;
      }
      const received_bytes = upload?.draft.size_bytes ?? 0;
      if (start !== received_bytes) return { received_bytes };
      if (!upload) {
        upload = { ...begin(), total, touched_ms: clock.elapsed_ms(), held: null };
        unfinished.set(id, upload);
      }
      return claimed(id, upload, onTaken);
    },
  };
}
