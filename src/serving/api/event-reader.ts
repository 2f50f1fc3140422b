// Reads server-sent events (HTML standard, 9.2): the data of each event. Comments, names and numbers of events say nothing to this reader.
import { ServingError } from '../errors.ts';

/** An event longer than this is no answer's. */
const MOST_CHARACTERS = 1_000_000;

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
