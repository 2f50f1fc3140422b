// Decodes an event's bytes into what the core understands.
import { openEvent } from '../protocol/envelope.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { EventBodySchema, type LoggedEvent } from './events.ts';

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
