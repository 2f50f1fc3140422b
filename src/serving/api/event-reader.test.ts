// Server-sent events are read the same however a connection cuts them, and one without an end is given up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { eventsOf } from './event-reader.ts';
import { eventOf } from './event-stream.ts';

async function* cut(bytes: Uint8Array, places: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const to of [...places].sort((a, b) => a - b)) {
    if (to <= from || to >= bytes.length) continue;
    yield bytes.subarray(from, to);
    from = to;
  }
  yield bytes.subarray(from);
}

async function read(bytes: AsyncIterable<Uint8Array>): Promise<string[]> {
  const found: string[] = [];
  for await (const data of eventsOf(bytes)) found.push(data);
  return found;
}

test('any events, with comments between them and cut anywhere, are the ones that were written', async () => {
  const event = fc.record({ data: fc.jsonValue(), name: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }) });
  await fc.assert(
    fc.asyncProperty(fc.array(event), fc.array(fc.nat(400)), fc.boolean(), async (events, places, crlf) => {
      const text = events.map(({ data, name }) => `: keep-alive\n\n${eventOf(data, name)}`).join('');
      const bytes = new TextEncoder().encode(crlf ? text.replaceAll('\n', '\r\n') : text);
      const found = await read(cut(bytes, places));
      assert.deepEqual(
        found,
        events.map(({ data }) => JSON.stringify(data)),
      );
    }),
  );
});

test('the lines of one event are one text; what has not ended is no event', async () => {
  const bytes = new TextEncoder().encode('data: a\ndata:b\nid: 7\n\ndata: never ended');
  assert.deepEqual(await read(cut(bytes, [])), ['a\nb']);
});

test('an event without an end is given up before it fills the memory', async () => {
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) yield new TextEncoder().encode(`data: ${'x'.repeat(100_000)}`);
  }
  await assert.rejects(read(endless()), { code: 'too-large' });
});
