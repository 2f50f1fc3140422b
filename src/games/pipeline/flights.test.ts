// How long a micro-batch's next device is waited for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../protocol/clock.ts';
import { Flights, patience } from './flights.ts';
import { UsualTime } from './routes.ts';

test('patience grows with what is usual, in whole milliseconds, which every timer takes', () => {
  const usual = new UsualTime();
  assert.equal(patience(usual, 2, 3000), 3000);
  usual.add(1499.9);
  assert.equal(patience(usual, 2, 3000), 3000);
  usual.add(2000.7);
  const more_ms = patience(usual, 2, 3000);
  assert.ok(more_ms > 3000, `${more_ms}`);
  assert.doesNotThrow(() => AbortSignal.timeout(more_ms));
});

test('a device that is alone and cannot be reached is asked again at a look, and not without a pause', async () => {
  let sent = 0;
  const over = new AbortController();
  const flights = new Flights({
    channel: {
      clock: systemClock,
      stages: () => new Map([['alone', 1]]),
      // With no end to it, nothing else would ever run in this process.
      send: async () => (++sent < 100 ? Promise.reject(new Error('not here')) : new Promise(() => {})),
    },
    ...{ next: 1, finished: new Set<string>(), over: over.signal },
  });
  const message = async (): Promise<Uint8Array> => {
    const until_ms = performance.now() + 2; // as long as signing takes
    while (performance.now() < until_ms);
    return new Uint8Array(1);
  };
  const input = { tokens: new Int32Array(0), activations: null, name: '' };
  flights.begin({ of: { origin: 'maker', number: 0 }, input, forward: 0, from: null, message });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(sent, 1);
  flights.look();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual([sent, flights.count], [2, 1]);
  over.abort();
});
