// Preview cards: whole PNGs that show a run's own name, curve and sample, whatever strangers call their runs; drawn once, limited by address.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32, inflateSync } from 'node:zlib';
import { Hono } from 'hono';
import { systemClock } from '../protocol/clock.ts';
import type { RunHistory, RunStatus, SampleView } from '../protocol/messages.ts';
import { CARD_SIZE, drawCard, wrapped } from './card-picture.ts';
import { serveCards } from './card-routes.ts';
import { dotsOf, drawable } from './glyphs.ts';
import { openRateLimits } from './rate-limits.ts';

const id = 'ab'.repeat(32);
const runOf = (more: Partial<RunStatus> = {}) =>
  ({
    run: id,
    name: 'Shakespeare',
    round: 3,
    rounds: 9,
    phase: 'working',
    peers: [],
    metrics: [{ name: 'loss_micro', words: 'validation loss', unit: 'nats', better: 'lower', first: null, last: null }],
    ...more,
  }) as unknown as RunStatus;
const historyOf = (losses: number[]) =>
  ({ run: id, evaluations: { amount: losses.map((_, i) => i * 100), value: losses } }) as unknown as RunHistory;

/** The pixels of a PNG whose chunks are all whole. */
function pixelsOf(png: Uint8Array): Buffer {
  const bytes = Buffer.from(png);
  assert.equal(bytes.toString('latin1', 1, 4), 'PNG');
  let data = Buffer.alloc(0);
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    assert.equal(bytes.readUInt32BE(at + 8 + length), crc32(bytes.subarray(at + 4, at + 8 + length)));
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (type === 'IHDR') {
      assert.deepEqual([bytes.readUInt32BE(at + 8), bytes.readUInt32BE(at + 12)], [CARD_SIZE.width, CARD_SIZE.height]);
    }
    if (type === 'IDAT') data = Buffer.concat([data, bytes.subarray(at + 8, at + 8 + length)]);
    at += 12 + length;
  }
  const pixels = inflateSync(data);
  assert.equal(pixels.length, CARD_SIZE.height * (1 + CARD_SIZE.width * 3));
  return pixels;
}

test('the name, the curve and the sample are each on the picture', async () => {
  const draw = async (run: RunStatus, losses: number[], sample: string | null) =>
    pixelsOf(await drawCard({ run, history: historyOf(losses), sample })).toString('base64');
  const pictures = [
    await draw(runOf(), [], null),
    await draw(runOf({ name: 'Goethe' }), [], null),
    await draw(runOf(), [5e6, 3e6, 2e6], null),
    await draw(runOf(), [5e6, 2.2e6, 2e6], null),
    await draw(runOf(), [5e6, 3e6, 2e6], 'To be'),
    await draw(runOf({ round: 4 }), [], null),
  ];
  assert.equal(new Set(pictures).size, pictures.length);
});

test('whatever a run is called, and whatever its model wrote, a picture comes of it', async () => {
  const odd = ['x'.repeat(100), '<img onerror=1>', 'למידה', '\u202e abc', '🍲', 'a\0b', ' '];
  for (const name of odd) pixelsOf(await drawCard({ run: runOf({ name }), history: historyOf([1e6]), sample: name }));
  for (const losses of [[0], [2e6, 2e6], [Number.MAX_SAFE_INTEGER, 0]]) {
    pixelsOf(await drawCard({ run: runOf(), history: historyOf(losses), sample: null }));
  }
});

test('letters: all of ASCII, accents go, what has no letter is not drawn in part', () => {
  for (let code = 33; code < 127; code++) assert.ok(dotsOf(String.fromCharCode(code))!.length > 0, String(code));
  assert.equal(drawable('Crème “brûlée” – 1'), 'Creme "brulee" - 1');
  assert.equal(drawable('למידה'), null);
  assert.equal(drawable('  '), null);
  assert.deepEqual(wrapped('one two three four', 9, 2), ['one two', 'three...']);
  assert.deepEqual(wrapped('abcdefghij', 4, 3), ['abcd', 'efgh', 'ij']);
});

test('a picture is drawn once, anew when there is something new, and not as often as anybody likes', async () => {
  let now_ms = 0;
  let run = runOf();
  const samples = { of: (): SampleView[] => [] };
  const drawn: number[] = [];
  const history = () => {
    drawn.push(now_ms);
    return historyOf([]);
  };
  const app = new Hono();
  const rates = openRateLimits(systemClock, { card_address: { burst: 5, per_second: 1e-6 } });
  app.onError((error, c) => c.text(String((error as { code?: string }).code), 429));
  serveCards(
    app,
    { statuses: () => [run], history, samples, rates },
    () => '192.0.2.1',
    () => now_ms,
  );
  const ask = (of = id) => app.request(`/r/${of}/card.png`);
  const first = await ask();
  assert.equal(first.headers.get('content-type'), 'image/png');
  pixelsOf(new Uint8Array(await first.arrayBuffer()));
  now_ms = 60_000;
  await ask();
  assert.deepEqual(drawn, [0], 'nothing new');
  run = runOf({ round: 4 });
  await ask();
  run = runOf({ round: 5 });
  await ask();
  assert.deepEqual(drawn, [0, 60_000], 'not every second');
  assert.equal((await ask('cd'.repeat(32))).status, 404);
  await ask();
  assert.equal((await ask()).status, 429);
});
