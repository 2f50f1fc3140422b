// Messages as frames of a WebSocket: plain CBOR, whose form is checked before anything is built of it.
import { Decoder, Encoder } from 'cbor-x';
import type { z } from 'zod';
import { checkCborForm } from './cbor-form.ts';
import { ProtocolError } from './errors.ts';

// cbor-x decodes plain maps only, because checkCborForm refuses whatever would make it build anything but data.
const encoder = new Encoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false, mapsAsObjects: true });

export const encodeFrame = (message: object): Uint8Array => new Uint8Array(encoder.encode(message));

/** Throws ProtocolError: `too-large`, `malformed`. */
export function decodeFrame<T>(frame: Uint8Array, schema: z.ZodType<T>, most_bytes: number, most_items: number): T {
  if (frame.length > most_bytes) {
    throw new ProtocolError('too-large', `message: at most ${most_bytes} bytes, got ${frame.length}`);
  }
  checkCborForm(frame, most_items);
  let value: unknown;
  try {
    value = decoder.decode(frame);
  } catch {
    throw new ProtocolError('malformed', `message: expected one CBOR map, got ${frame.length} bytes that are not one`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ProtocolError('malformed', `message: ${issue.path.join('.') || 'body'}: ${issue.message}`);
}
