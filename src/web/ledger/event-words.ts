// An event of the log as a sentence, with who did it: for people who do not read field names.
import { decodeEvent } from '../../core/codec.ts';
import type { About, Say } from '../../core/events/kind.ts';
import { kindOfEvent, type LoggedEvent } from '../../core/events.ts';
import { openEvent } from '../../protocol/envelope.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { measuresText } from '../../protocol/measures.ts';
import { countOf, formatBytes, formatWhole, nameOf, runtimeName, short } from '../shell/format.ts';

/** An entry opened as far as it goes. Its signature is not verified: that is done where one looks at it. */
export interface Entry {
  readonly index: number;
  readonly bytes: Uint8Array;
  /** null: the bytes are no event that this page knows. */
  readonly event: LoggedEvent | null;
  /** Why it could not be read. */
  readonly problem: string | null;
}

export function openEntry(bytes: Uint8Array, index: number): Entry {
  try {
    return { index, bytes, event: decodeEvent(bytes, { verify_signature: false }), problem: null };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { index, bytes, event: null, problem: error.message };
  }
}

/** The raw fields of an entry, also of a type that this page does not know. */
export function fieldsOf(bytes: Uint8Array): Record<string, unknown> {
  try {
    return openEvent(bytes, { verify_signature: false }).body;
  } catch {
    return {};
  }
}

/** What kinds of events there are for people: what they are shown under. */
export type Kind = About | 'unknown';

export const kindOf = ({ event }: Entry): Kind => (event ? kindOfEvent(event.body.type).about : 'unknown');

/** Names of keys, and what runs count work in, where the page has heard of them. */
export type Names = Pick<Say, 'name' | 'unit'>;

/** The event as a sentence. */
export function sentenceOf({ event, problem }: Entry, names: Names): string {
  if (!event) return `not readable: ${problem}`;
  return kindOfEvent(event.body.type).words(event.body, names.name(event.author), { ...SAY, ...names });
}

const SAY = {
  quoted: nameOf,
  count: countOf,
  whole: formatWhole,
  bytes: formatBytes,
  measures: measuresText,
  short,
  runtime: runtimeName,
  time: (time_ms: number) => new Date(time_ms).toLocaleString('en-GB'),
};
