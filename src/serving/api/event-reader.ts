// Reads server-sent events (HTML standard, 9.2): the data of each event. Comments, names and numbers of events say nothing to this reader.
import { ServingError } from '../errors.ts';

/** An event longer than this is no answer's. */
const MOST_CHARACTERS = 1_000_000;

/** The value in an event's data; null for what is no JSON, which is no part of an answer either. */
export function jsonIn(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}

/** A body in pieces: not every browser iterates one by itself. Throws what `lost` gives where the connection breaks off, or the signal's reason. */
export async function* piecesOf(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
  lost: () => Error,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch {
    signal.throwIfAborted();
    throw lost();
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Throws ServingError `too-large` for an event that does not end. */
export async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const bytes of body) {
    text = (text + decoder.decode(bytes, { stream: true })).replaceAll('\r\n', '\n');
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const data = text
        .slice(0, end)
        .split('\n')
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).replace(/^ /, ''));
      text = text.slice(end + 2);
      if (data.length > 0) yield data.join('\n');
    }
    if (text.length > MOST_CHARACTERS) throw new ServingError('too-large', 'the server sent an event without an end');
  }
}
