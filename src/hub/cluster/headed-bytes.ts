// Bytes behind a small head: what processes of a hub pass on without looking at it, and what they say to each other about it.
import type { z } from 'zod';
import { ProtocolError } from '../../protocol/errors.ts';
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts';

/** Before the head: its length, two bytes, the larger one first. */
const LENGTH_BYTES = 2;
/** Some 400 bytes are usual. */
const MOST_HEAD_BYTES = 2000;

/** The head as CBOR behind its length; then the bytes as they are, which are copied once. */
export function putHead(head: object, rest: Uint8Array | null): Uint8Array {
  const said = encodeFrame(head);
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + said.length + (rest?.length ?? 0));
  bytes.writeUInt16BE(said.length, 0);
  bytes.set(said, LENGTH_BYTES);
  if (rest) bytes.set(rest, LENGTH_BYTES + said.length);
  return bytes;
}

/** @param most_bytes what may stand behind a head. Throws ProtocolError `malformed`, `too-large`. */
export function takeHead<T extends { readonly type: string }>(
  bytes: Uint8Array,
  schema: z.ZodType<T>,
  most_bytes: (head: T) => number,
): { readonly head: T; readonly rest: Uint8Array } {
  const end = LENGTH_BYTES + (bytes[0] ?? 0) * 256 + (bytes[1] ?? 0);
  const head = decodeFrame(bytes.subarray(LENGTH_BYTES, end), schema, MOST_HEAD_BYTES, Number.POSITIVE_INFINITY);
  const length = bytes.length - end;
  if (length < 0 || length > most_bytes(head)) {
    const fact = `expected up to ${most_bytes(head)} bytes behind "${head.type}", got ${length}`;
    throw new ProtocolError('malformed', `message: ${fact}`);
  }
  return { head, rest: bytes.subarray(end) };
}
