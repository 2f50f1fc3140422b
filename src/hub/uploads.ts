// Uploads in parts: a device on a bad line sends a blob piece by piece and resumes where it broke off. The parts are on disk.
import type { BlobDraft } from '../ledger/blob-store.ts';
import type { Clock } from '../protocol/clock.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import type { Arriving } from './unnamed-blobs.ts';

const UPLOAD_LIMITS = {
  held_bytes: 4 * WIRE_LIMITS.blob_bytes, // of unfinished uploads, on disk; beyond it the least recently active one must start over
  held: 3000, // unfinished uploads, each with up to 64 kB of memory or a descriptor
  kept_ms: 10 * 60_000, // how long one may be inactive
} as const;
/** Strangers share their own room, and take none of the room of peers that take part in a run. */
const HELD_OF_STRANGERS = 500;

/** The limits for a process that may have so many blobs open at once. */
export function unfinishedLimits(files: number) {
  return {
    known: { ...UPLOAD_LIMITS, held: Math.min(UPLOAD_LIMITS.held, Math.ceil(files / 2)) },
    strangers: { ...UPLOAD_LIMITS, held: Math.min(HELD_OF_STRANGERS, Math.ceil(files / 8)) },
  };
}

/** Which part of a blob a request contains (RFC 9110, section 14.4); `end` is the byte after it. */
export interface Part {
  readonly start: number;
  readonly end: number;
  readonly total: number;
}

/** The part that a Content-Range header names; null where it names none. */
export function uploadedPart(header: string): Part | null {
  const found = /^bytes (\d{1,12})-(\d{1,12})\/(\d{1,12})$/.exec(header);
  if (!found) return null;
  const [start, last, total] = found.slice(1).map(Number);
  return start <= last && last < total ? { start, end: last + 1, total } : null;
}

/** A blob that is arriving: what has come, and whose bytes they are. */
export interface Upload {
  readonly draft: BlobDraft;
  readonly arriving: Arriving;
}

/** The right to continue an upload. It is exclusive until it is given back. */
export interface Claim extends Upload {
  /** Gives the claim back; what has come stays for the next part. Of `release` and `end` the first call counts. */
  release(): void;
  /** Ends the upload: nothing of it is remembered. The caller decides about the draft. */
  end(): void;
}

export interface PartialUploads {
  /**
   * Claims the upload `id` (uploader and blob) that a part continues, or returns how many bytes have come where the part does not continue
   * there. Another request that holds the claim is ended, because a device that reconnects must not wait for its old request.
   * @param onTaken a later request wants the claim; give it back soon
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
  /** The holder of the claim. */
  held: { readonly onTaken: () => void; readonly over: Promise<void> } | null;
}

export function openPartialUploads(
  clock: Clock,
  limits: { readonly held_bytes: number; readonly held: number; readonly kept_ms: number } = UPLOAD_LIMITS,
): PartialUploads {
  /** The most recently touched one is last. */
  const unfinished = new Map<string, Unfinished>();

  const forget = (id: string): void => {
    const upload = unfinished.get(id);
    if (!upload) return;
    unfinished.delete(id);
    upload.arriving.end();
    upload.draft.discard().catch(() => {}); // the next start deletes it
  };

  /** Drops uploads that were inactive for too long, and the least recently active ones while there are too many. */
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
