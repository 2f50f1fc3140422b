// Streams of events on a clock that only the test moves: silence, clients that read nothing, clients that go, and what fails before or within.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, systemClock } from '../../protocol/clock.ts';
import { API_LIMITS } from '../limits.ts';
import { eventOf, eventStream } from './event-stream.ts';

interface Alarm {
  readonly at_ms: number;
  readonly run: () => void;
}

function testClock() {
  let now_ms = 0;
  const alarms = new Set<Alarm>();
  const clock: Clock = {
    ...systemClock,
    elapsed_ms: () => now_ms,
    setTimeout(run, delay_ms) {
      const alarm = { at_ms: now_ms + delay_ms, run };
      alarms.add(alarm);
      return alarm;
    },
    clearTimeout: (alarm) => void alarms.delete(alarm as Alarm),
  };
  return {
    clock,
    alarms,
    async pass(time_ms: number): Promise<void> {
      const until_ms = now_ms + time_ms;
      for (;;) {
        const next = [...alarms].filter(({ at_ms }) => at_ms <= until_ms).sort((a, b) => a.at_ms - b.at_ms)[0];
        if (!next) break;
        now_ms = next.at_ms;
        alarms.delete(next);
        next.run();
        await new Promise(setImmediate);
      }
      now_ms = until_ms;
    },
  };
}

const KEEP_ALIVE_MS = 1000;

function options(clock: Clock, gone: AbortSignal = new AbortController().signal) {
  return {
    clock,
    keep_alive_ms: KEEP_ALIVE_MS,
    gone,
    onFailure: (error: unknown) => eventOf({ error: String(error) }),
  };
}

const textOf = async (stream: ReadableStream<Uint8Array>): Promise<string> => new Response(stream).text();

/** Promises that the test resolves. */
function gate() {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

test('events come as they are, and nothing runs on after the end', async () => {
  const { clock, alarms } = testClock();
  const stream = await eventStream(async function* () {
    yield eventOf({ a: 1 });
    yield eventOf({ b: 'two\nlines' }, 'named');
  }, options(clock));
  assert.equal(await textOf(stream), 'data: {"a":1}\n\nevent: named\ndata: {"b":"two\\nlines"}\n\n');
  assert.equal(alarms.size, 0);
});

test('what fails before the first event is an error, what fails after it an event', async () => {
  const { clock, alarms } = testClock();
  const failing = (events: number) =>
    eventStream(async function* () {
      for (let i = 0; i < events; i++) yield eventOf(i);
      throw new Error('broken');
    }, options(clock));
  await assert.rejects(failing(0), /broken/);
  assert.equal(await textOf(await failing(2)), 'data: 0\n\ndata: 1\n\ndata: {"error":"Error: broken"}\n\n');
  assert.equal(alarms.size, 0);
});

test('a first event that takes long opens the stream, whose silence is filled; its failure is an event then', async () => {
  const { clock, pass } = testClock();
  const { open, opened } = gate();
  const opening = eventStream(async function* () {
    await opened;
    yield await Promise.reject<string>(new Error('no engine'));
  }, options(clock));
  await pass(API_LIMITS.first_wait_ms);
  const text = textOf(await opening);
  await pass(3 * KEEP_ALIVE_MS);
  open();
  assert.equal(await text, `${': keep-alive\n\n'.repeat(3)}data: {"error":"Error: no engine"}\n\n`);
});

test('a client that goes ends the writing, whether it waits for the model or for the client', async () => {
  for (const goes of ['by signal', 'by cancel'] as const) {
    const { clock, alarms } = testClock();
    const client = new AbortController();
    let ended = false;
    let seen: AbortSignal | undefined;
    const stream = await eventStream(
      async function* (signal) {
        seen = signal;
        try {
          for (let i = 0; ; i++) {
            signal.throwIfAborted();
            yield eventOf(i);
          }
        } finally {
          ended = true;
        }
      },
      options(clock, client.signal),
    );
    // Nobody reads: the writer is held after as many events as may wait.
    await new Promise(setImmediate);
    assert.equal(ended, false);
    if (goes === 'by signal') client.abort();
    else await stream.cancel();
    await new Promise(setImmediate);
    assert.deepEqual([ended, seen!.aborted], [true, true], goes);
    assert.equal(alarms.size, 0);
  }
});

test('a client that reads nothing for too long is taken for gone; one that reads slowly is not', async () => {
  const { clock, pass } = testClock();
  let written = 0;
  let ended = false;
  const endless = () =>
    eventStream(async function* (signal) {
      try {
        for (; !signal.aborted; written++) yield eventOf(written);
      } finally {
        ended = true;
      }
    }, options(clock));
  const slow = (await endless()).getReader();
  await new Promise(setImmediate);
  assert.equal(written, API_LIMITS.unread_events - 1); // and one more is offered
  for (let i = 0; i < 5; i++) {
    await pass(API_LIMITS.stalled_ms * 0.9);
    await slow.read();
    await new Promise(setImmediate);
  }
  assert.equal(ended, false);
  await pass(API_LIMITS.stalled_ms);
  assert.equal(ended, true);
});
