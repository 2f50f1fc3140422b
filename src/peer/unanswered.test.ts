// Events that wait for the hub's answer: sent again after a reconnection and after "too fast", until they are answered or given up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../protocol/clock.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { eventId } from '../protocol/envelope.ts';
import { decodeFromPeer } from '../protocol/from-peer.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { messagesOf, openUnanswered } from './unanswered.ts';

/** What is sent, and the waits that were begun; `run` ends the one that was begun last. */
function waitingEvents() {
  const sent: Uint8Array[] = [];
  const enclosed: (Uint8Array | null)[] = [];
  const messages: string[] = [];
  const send = (message: ReturnType<typeof messagesOf>[number]): void => {
    const all = message.type === 'event' ? [message] : message.events;
    messages.push(all.map(({ event }) => event[0]).join());
    sent.push(...all.map(({ event }) => event));
    enclosed.push(...all.map(({ enclosed = null }) => enclosed));
  };
  const moments: (() => void)[] = [];
  const waits: { ms: number; run: () => void; ended: boolean }[] = [];
  const clock = {
    ...systemClock,
    setTimeout: (run: () => void, ms: number) =>
      ms === 0 ? -moments.push(run) : waits.push({ ms, run, ended: false }),
    clearTimeout(number: unknown) {
      if (typeof number === 'number' && number > 0) waits[number - 1].ended = true;
    },
  };
  const options = { hub: 'b'.repeat(64), clock, random: () => 0.5, send };
  return { sent, enclosed, messages, waits, moment: () => moments.shift()?.(), unanswered: openUnanswered(options) };
}

const event = Uint8Array.of(1, 2, 3);
const refused = new PeerError('refused', 'no', { refusal: 'not-present' });

test('an event that came too fast is sent again after waits that double up to ten seconds', () => {
  const { sent, waits, moment, unanswered } = waitingEvents();
  unanswered.submit(event).catch(() => {}); // nobody answers it in this test
  for (let i = 0; i < 6; i++) {
    unanswered.sendLater(eventId(event));
    moment();
    waits.at(-1)!.run();
  }
  assert.deepEqual(
    waits.map(({ ms }) => ms),
    [1000, 2000, 4000, 8000, 10_000, 10_000],
  );
  assert.equal(sent.length, 7);
});

test('what is enclosed goes with its event each time', () => {
  const { enclosed, waits, moment, unanswered } = waitingEvents();
  const blob = Uint8Array.of(9);
  unanswered.submit(event, blob).catch(() => {}); // nobody answers it in this test
  unanswered.sendAll();
  unanswered.sendLater(eventId(event));
  moment();
  waits.at(-1)!.run();
  unanswered.submit(Uint8Array.of(4)).catch(() => {});
  unanswered.sendAll();
  assert.deepEqual(enclosed, [blob, blob, blob, blob, null]);
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

const one = (i: number): Uint8Array => Uint8Array.of(i);

test('what comes while the hub has not answered goes together, a moment after its answer, and each once', () => {
  const { messages, waits, moment, unanswered } = waitingEvents();
  const submit = (i: number) => unanswered.submit(one(i)).catch(() => {});
  for (const i of [1, 2, 3]) submit(i);
  assert.deepEqual(messages, ['1'], 'the first does not wait');
  unanswered.reject(eventId(one(1)), refused);
  submit(4); // whoever heard the answer had more to say
  assert.deepEqual(messages, ['1']);
  moment();
  assert.deepEqual(messages, ['1', '2,3,4']);
  submit(5);
  unanswered.reject(eventId(one(2)), refused);
  unanswered.sendLater(eventId(one(3)));
  moment();
  assert.equal(messages.length, 2, 'one of the three has no answer yet');
  unanswered.reject(eventId(one(4)), refused);
  moment();
  assert.deepEqual(messages.slice(2), ['5']);
  unanswered.reject(eventId(one(5)), refused);
  moment();
  waits[0].run();
  assert.deepEqual(messages.slice(3), ['3'], 'what came too fast is sent again by itself');
});

test('with a welcome all go at once, and nothing of them again', () => {
  const { messages, moment, unanswered } = waitingEvents();
  for (let i = 0; i < 10; i++) unanswered.submit(one(i)).catch(() => {});
  unanswered.sendAll();
  assert.deepEqual(messages, ['0', '0,1,2,3,4,5,6,7', '8,9']);
  for (let i = 0; i < 10; i++) unanswered.reject(eventId(one(i)), refused);
  moment();
  assert.equal(messages.length, 3);
  unanswered.submit(one(11)).catch(() => {});
  assert.equal(messages.length, 4);
});

test('a message holds no more than a hub takes', () => {
  const large = Array.from({ length: 4 }, (_, i) => ({
    event: new Uint8Array(WIRE_LIMITS.event_bytes / 3).fill(i),
    enclosed: new Uint8Array(i === 0 ? WIRE_LIMITS.enclosed_bytes : 1),
  }));
  const full = { event: new Uint8Array(WIRE_LIMITS.event_bytes), enclosed: new Uint8Array(WIRE_LIMITS.enclosed_bytes) };
  for (const all of [large, [full, full], [one(1), one(2)].map((event) => ({ event }))]) {
    const arrived = messagesOf(all).flatMap((message) => {
      const heard = decodeFromPeer(encodeMessage(message));
      if (heard.type === 'events') return heard.events;
      return heard.type === 'event' ? [heard] : [];
    });
    assert.deepEqual(
      arrived.map(({ event }) => event),
      all.map(({ event }) => event),
    );
  }
  assert.deepEqual(
    messagesOf(large).map(({ type }) => type),
    ['events', 'event'],
  );
});

test('receipts of several events are each checked against its own event', async () => {
  const { unanswered } = waitingEvents();
  const both = [unanswered.submit(event), unanswered.submit(one(4))];
  const of = [event, one(4)].map((bytes, i) => ({ event: eventId(bytes), index: i, proof: new Uint8Array(i) }));
  unanswered.acceptedAll({ type: 'receipts', checkpoint: 'no head', of });
  await assert.rejects(both[0], { code: 'bad-receipt' });
  await assert.rejects(both[1], { code: 'bad-receipt', message: /whole hashes/ });
});
