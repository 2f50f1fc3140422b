// How long a micro-batch's next device is waited for.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../protocol/clock.ts';
import { type HandClock, handClock } from '../../protocol/testing/hand-clock.ts';
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
      proven: () => new Set(),
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

describe('a micro-batch that is handed on', () => {
  interface World {
    readonly clock: HandClock;
    readonly flights: Flights;
    readonly stages: Map<string, number>;
    readonly proven: Set<string>;
    readonly finished: Set<string>;
    /** To whom it was handed, in order. */
    readonly sent: string[];
  }

  /** Devices that take nothing and say nothing. */
  function world(...devices: readonly string[]): World {
    const clock = handClock();
    const stages = new Map(devices.map((device) => [device, 1]));
    const finished = new Set<string>();
    const sent: string[] = [];
    const send = (to: string, _: Uint8Array, signal?: AbortSignal): Promise<void> => {
      sent.push(to);
      return new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    };
    const proven = new Set<string>();
    const channel = { clock, stages: () => stages, proven: () => proven, send };
    const flights = new Flights({ channel, next: 1, finished, over: new AbortController().signal });
    const input = { tokens: new Int32Array(0), activations: null, name: '' };
    const of = { origin: 'maker', number: 0 };
    flights.begin({ of, input, forward: 7, from: null, message: async () => new Uint8Array(1) });
    return { clock, flights, stages, proven, finished, sent };
  }

  test('a device that takes nothing is passed by after three seconds; either may answer, and once', async () => {
    const { clock, flights, sent } = world('silent', 'other');
    await clock.pass(2999);
    assert.deepEqual(sent, ['silent']);
    await clock.pass(1);
    assert.deepEqual(sent, ['silent', 'other']);
    assert.equal(flights.landed('maker:0', 'silent')?.forward, 7);
    assert.equal(flights.landed('maker:0', 'other'), null);
    assert.equal(flights.isWith('maker:0', 'other'), false);
  });

  test('what a device had that leaves, or has finished, goes to another one at the next look, and to none that has finished', async () => {
    for (const leaves of [true, false]) {
      const { clock, flights, stages, finished, sent } = world('first', 'finished', 'third');
      finished.add('finished');
      await clock.pass(10);
      if (leaves) stages.delete('first');
      else finished.add('first');
      flights.look();
      await clock.pass(10);
      assert.deepEqual(sent, ['first', 'third']);
    }
  });

  test('what nobody answers for is given up after ten seconds', async () => {
    const { clock, flights } = world('silent');
    await clock.pass(10_000);
    flights.look();
    assert.equal(flights.count, 1);
    await clock.pass(1);
    flights.look();
    assert.equal(flights.count, 0);
  });
});
