// Uploads in parts: a device on a bad line sends a blob piece by piece and goes on where it broke off.
import { concatBytes } from '@noble/hashes/utils.js';
import type { Clock } from '../protocol/clock.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';

export const UPLOAD_LIMITS = {
  held_bytes: WIRE_LIMITS.blob_bytes, // of unfinished uploads, in memory; beyond it the one that was quiet for the longest begins anew
  kept_ms: 10 * 60_000, // how long one may be quiet
} as const;

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

/** What became of a part: the blob is whole, it goes on, or it has to go on from another byte. */
export type Joined =
  | { readonly state: 'whole'; readonly bytes: Uint8Array }
  | { readonly state: 'goes-on' | 'elsewhere'; readonly received_bytes: number };

interface Unfinished {
  readonly total: number;
  parts: Uint8Array[];
  received_bytes: number;
  touched_ms: number;
}

export interface PartialUploads {
  /** @param id whose upload of what */
  add(id: string, part: Part, bytes: Uint8Array): Joined;
  /** Of all unfinished uploads. */
  readonly held_bytes: number;
}

export function openPartialUploads(
  clock: Clock,
  limits: { readonly held_bytes: number; readonly kept_ms: number } = UPLOAD_LIMITS,
): PartialUploads {
  /** The one touched last at the end. */
  const unfinished = new Map<string, Unfinished>();
  let held_bytes = 0;

  const forget = (id: string): void => {
    held_bytes -= unfinished.get(id)?.received_bytes ?? 0;
    unfinished.delete(id);
  };

  const makeRoom = (id: string, bytes: number): void => {
    for (const [other, { touched_ms }] of unfinished) {
      const old = clock.elapsed_ms() - touched_ms > limits.kept_ms;
      if (!old && held_bytes + bytes <= limits.held_bytes) return;
      if (other !== id) forget(other);
    }
  };

  return {
    add(id, { start, total }, bytes) {
      makeRoom(id, bytes.length);
      let upload = unfinished.get(id);
      if (upload?.total !== total || start === 0) {
        forget(id);
        upload = { total, parts: [], received_bytes: 0, touched_ms: 0 };
      }
      if (start !== upload.received_bytes) return { state: 'elsewhere', received_bytes: upload.received_bytes };
      upload.parts.push(bytes);
      upload.received_bytes += bytes.length;
      held_bytes += bytes.length;
      upload.touched_ms = clock.elapsed_ms();
      unfinished.delete(id);
      unfinished.set(id, upload);
      if (upload.received_bytes < total) return { state: 'goes-on', received_bytes: upload.received_bytes };
      forget(id);
      return { state: 'whole', bytes: concatBytes(...upload.parts) };
    },
    get held_bytes() {
      return held_bytes;
    },
  };
}
