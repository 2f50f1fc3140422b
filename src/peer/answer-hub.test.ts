// What a peer does about each message of its hub, a line a case.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FromHub } from '../protocol/from-hub.ts';
import { PROTOCOL_VERSION } from '../protocol/messages.ts';
import { RelayFromHub } from '../protocol/relay-messages.ts';
import { ServingFromHub } from '../protocol/serving-messages.ts';
import { exampleView } from '../protocol/testing/example-views.ts';
import { type Known, planAnswer } from './answer-hub.ts';

const HUB = 'b'.repeat(64);
const EVENT = 'e'.repeat(64);
const view = exampleView();
const known: Known = { hub: HUB, run: view.run, greeted: true };
const stranger: Known = { ...known, greeted: false };
const challenge = { type: 'challenge', protocol: PROTOCOL_VERSION, hub: HUB, nonce: new Uint8Array(32) } as const;
const refused = (code: string, event: string | null): FromHub => ({ type: 'refused', event, code, message: 'no' });

/** An action in a word, with the code of its error where it has one. */
function word(message: FromHub, now: Known = known): string | null {
  const action = planAnswer(message, now);
  if (!action) return null;
  return 'error' in action ? `${action.do} ${action.error.code}` : action.do;
}

test('a key is proved to the hub that was meant, in the version that both speak, and to no other', () => {
  assert.equal(word(challenge, stranger), 'prove-key');
  assert.equal(word({ ...challenge, hub: 'c'.repeat(64) }, stranger), 'end other-hub');
  assert.equal(word({ ...challenge, protocol: PROTOCOL_VERSION + 1 }, stranger), 'end other-protocol');
});

test('a peer goes on with a welcome, sees its own run and no other, and asks for the proof of what is accepted', () => {
  assert.equal(word({ type: 'welcome', present: true, session: 1 }, stranger), 'go-on');
  assert.equal(word({ type: 'run', view }), 'show-run');
  assert.equal(word({ type: 'run', view: { ...view, run: 'd'.repeat(64) } }), null);
  assert.equal(word({ type: 'accepted', event: EVENT, receipt: null }), 'check-receipt');
  assert.equal(word({ type: 'pong' }), null);
});

test('what is refused of an event ends the event, what is refused of the peer ends it, and "too fast" ends nothing', () => {
  assert.equal(word(refused('not-present', EVENT)), 'reject refused');
  assert.equal(word(refused('key-in-use', EVENT)), 'reject refused');
  const passing = ['too-fast', 'no-leader', 'overloaded', 'log-failed', 'journal-unreachable'];
  for (const code of [...passing, 'fenced', 'write-failed', 'store-busy', 'closing', 'disk-full']) {
    assert.equal(word(refused(code, EVENT)), 'send-later', code);
  }
  assert.equal(word(refused('too-fast', null), stranger), null);
  assert.equal(word(refused('key-in-use', null)), 'give-way');
  assert.equal(word(refused('unknown-version', null)), 'end other-protocol');
  assert.equal(word(refused('unknown-run', null)), 'end no-such-run');
  assert.equal(word(refused('not-understood', null)), 'end refused');
});

test('any other refusal ends a peer that was not let in, and not one that takes part', () => {
  assert.equal(word(refused('full', null), stranger), 'end refused');
  assert.equal(word(refused('full', null)), null);
  assert.equal(word(refused('no-hello', null), stranger), null);
});

test('whatever the pool or another device says reaches whoever serves or talks, once the hub has let the peer in', () => {
  const all = [
    ...ServingFromHub.map((schema) => ['serve', schema] as const),
    ...RelayFromHub.map((schema) => ['relay', schema] as const),
  ];
  for (const [what, { shape }] of all) {
    const message = { type: shape.type.value } as FromHub;
    assert.deepEqual([word(message), word(message, stranger)], [what, null], message.type);
  }
});
