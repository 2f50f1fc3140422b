// Events that wait for the hub's answer: sent again after a reconnection and after "too fast", until they are answered or given up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../protocol/clock.ts';
import { eventId } from '../protocol/envelope.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { openUnanswered } from './unanswered.ts';

/** What is sent, and the waits that were begun; `run` ends the one that was begun last. */
function waitingEvents() {
  const sent: Uint8Array[] = [];
  const waits: { ms: number; run: () => void; ended: boolean }[] = [];
  const clock = {
    ...systemClock,
    setTimeout: (run: () => void, ms: number) => waits.push({ ms, run, ended: false }),
    clearTimeout(number: unknown) {
      if (typeof number === 'number') waits[number - 1].ended = true;
    },
  };
  const options = { hub: 'b'.repeat(64), clock, random: () => 0.5, send: (event: Uint8Array) => sent.push(event) };
  return { sent, waits, unanswered: openUnanswered(options) };
}

const event = Uint8Array.of(1, 2, 3);
const refused = new PeerError('refused', 'no', { refusal: 'not-present' });

test('an event that came too fast is sent again after waits that double up to ten seconds', () => {
  const { sent, waits, unanswered } = waitingEvents();
  unanswered.submit(event).catch(() => {}); // nobody answers it in this test
  for (let i = 0; i < 6; i++) {
    unanswered.sendLater(eventId(event));
    waits.at(-1)!.run();
  }
  assert.deepEqual(
    waits.map(({ ms }) => ms),
    [1000, 2000, 4000, 8000, 10_000, 10_000],
  );
  assert.equal(sent.length, 7);
});

test('what was answered is not sent again: neither with the next welcome nor when its wait ends', async () => {
  const { sent, waits, unanswered } = waitingEvents();
  const submitted = unanswered.submit(event);
  unanswered.sendAll();
  unanswered.sendLater(eventId(event));
  unanswered.reject(eventId(event), refused);
  await assert.rejects(submitted, refused);
  unanswered.sendAll();
  assert.equal(sent.length, 2);
  assert.equal(waits[0].ended, true);
});

test('an answer without a proof is none, and an answer to nothing is passed over', async () => {
  const { unanswered } = waitingEvents();
  const submitted = unanswered.submit(event);
  unanswered.accepted('e'.repeat(64), null);
  unanswered.accepted(eventId(event), null);
  await assert.rejects(submitted, { code: 'bad-receipt' });
});

test('all that wait are given up together', async () => {
  const { unanswered } = waitingEvents();
  const both = [unanswered.submit(event), unanswered.submit(Uint8Array.of(4))];
  unanswered.rejectAll(new PeerError('disconnected', 'closed'));
  for (const one of both) await assert.rejects(one, { code: 'disconnected' });
});
