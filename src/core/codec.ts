// Decodes an event's bytes into what the core understands.
import { openEvent } from '../protocol/envelope.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { EventBodySchema, hasForm, type LoggedEvent, versionsOf } from './events.ts';

/**
 * Opens signed bytes and checks the body against its schema.
 * Throws ProtocolError for a wrong form or signature, for a type that this code does not know, and `unknown-version`.
 */
export function decodeEvent(bytes: Uint8Array, options?: { readonly verify_signature?: boolean }): LoggedEvent {
  const { id, author, body } = openEvent(bytes, options);
  if (hasForm(body)) return { id, author, body };
  const versions = versionsOf(body.type);
  if (versions && !versions.includes(body.version)) {
    const older = body.version < Math.min(...versions);
    throw new ProtocolError(
      'unknown-version',
      `${older ? 'an older' : 'a newer'} Potluck wrote this ${body.type}: its version is ${body.version}, and this Potluck knows ${versions.join(' and ')}`,
      { type: body.type, version: body.version },
    );
  }
  const parsed = EventBodySchema.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const at = issue.path.length > 0 ? issue.path.join('.') : 'body';
    throw new ProtocolError('malformed', `event body: ${at}: ${issue.message}`, { at });
  }
  return { id, author, body: parsed.data };
}
