// The way between an event's bytes and what the core understands, and the hash of a whole state.
import { encode } from '@ipld/dag-cbor';
import { openEvent } from '../protocol/envelope.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { EventBodySchema, type LoggedEvent } from './events.ts';
import type { NetworkState } from './state.ts';

/**
 * Opens signed bytes and checks the body against its schema.
 * Throws ProtocolError for a wrong form, signature, or a type or version that this code does not know.
 */
export function decodeEvent(bytes: Uint8Array, options?: { readonly verify_signature?: boolean }): LoggedEvent {
  const { id, author, body } = openEvent(bytes, options);
  const parsed = EventBodySchema.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const at = issue.path.length > 0 ? issue.path.join('.') : 'body';
    throw new ProtocolError('malformed', `event body: ${at}: ${issue.message}`, { at });
  }
  return { id, author, body: parsed.data };
}

/** SHA-256 over the canonical bytes of a state: equal hashes mean equal states. */
export function stateHash(state: NetworkState): string {
  return sha256Hex(encode(plain(state)));
}

/** Maps become lists of pairs in key order, so that the order of insertion does not show. */
function plain(value: unknown): unknown {
  if (value instanceof Map) {
    return [...value.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, plain(item)]);
  }
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  }
  return value;
}
