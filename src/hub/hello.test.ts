// Who has come over a connection, and what becomes of them: a case a line.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RunState } from '../core/state.ts';
import type { ProtocolError } from '../protocol/errors.ts';
import { createIdentity } from '../protocol/identity.ts';
import { helloChallenge, PROTOCOL_VERSION } from '../protocol/messages.ts';
import { guestOf, type Hello, type Participant, planEntry } from './hello.ts';

const HUB = 'a'.repeat(64);
const RUN = 'f'.repeat(64);
const nonce = new Uint8Array(32);
const identity = createIdentity();
const signature = await identity.sign(helloChallenge(HUB, nonce));
const peer = identity.id;
const hello: Hello = { type: 'hello', protocol: PROTOCOL_VERSION, role: 'worker', peer, run: RUN, signature };

describe('a hello', () => {
  const read = (changed: Partial<Hello>, to: Partial<Parameters<typeof guestOf>[1]> = {}) => {
    try {
      return guestOf({ ...hello, ...changed }, { hub: HUB, nonce, said_before: false, ...to });
    } catch (error) {
      return (error as ProtocolError).code;
    }
  };
  const observer = { role: 'observer', peer: undefined, run: undefined, signature: undefined } as const;
  const cases: [string, ReturnType<typeof read>, ReturnType<typeof read>][] = [
    ['of a worker', read({}), { role: 'worker', peer, run: RUN, yields: false, watches: null }],
    [
      'of a validator that yields',
      read({ role: 'validator', yields: true }),
      { role: 'validator', peer, run: RUN, yields: true, watches: null },
    ],
    [
      'of a validator that watches a worker',
      read({ role: 'validator', watches: HUB }),
      { role: 'validator', peer, run: RUN, yields: false, watches: HUB },
    ],
    ['of an observer', read(observer), { role: 'observer', follows: false }],
    ['of one that follows', read({ ...observer, changes: true }), { role: 'observer', follows: true }],
    [
      'of another version, whatever else it says',
      read({ protocol: PROTOCOL_VERSION + 1, signature: undefined }),
      'unknown-version',
    ],
    ['said twice', read({}, { said_before: true }), 'malformed'],
    ['said twice by an observer', read(observer, { said_before: true }), 'malformed'],
    ['without a signature', read({ signature: undefined }), 'malformed'],
    ['without a run', read({ run: undefined }), 'malformed'],
    ["over another hub's nonce", read({}, { hub: 'b'.repeat(64) }), 'bad-signature'],
    ['over a nonce of before', read({}, { nonce: new Uint8Array(32).fill(1) }), 'bad-signature'],
    ["with somebody else's key", read({ peer: createIdentity().id }), 'bad-signature'],
  ];
  for (const [name, got, expected] of cases) test(name, () => assert.deepEqual(got, expected));
});

describe('whoever wants to take part', () => {
  const run = { id: RUN } as RunState;
  const plan = (known: Partial<Parameters<typeof planEntry>[1]>, yields = false) => {
    const guest: Participant = { role: 'worker', peer, run: RUN, yields, watches: null };
    const entry = planEntry(guest, { suspended: null, run, is_here: false, ...known });
    return entry.action === 'refuse' ? String(entry.error.details.refusal ?? entry.error.code) : entry.action;
  };
  const cases: [string, string, string][] = [
    ['enters', plan({}), 'enter'],
    ['replaces the connection that it had', plan({ is_here: true }), 'enter'],
    ['gives way to another device with its key when it has been replaced', plan({ is_here: true }, true), 'key-in-use'],
    ['comes back when that is gone', plan({}, true), 'enter'],
    ['is refused where the run is not', plan({ run: undefined }), 'unknown-run'],
    [
      'comes later when the hub takes nobody, also to a run that is not here',
      plan({ suspended: 'full', run: undefined }),
      'try-later',
    ],
  ];
  for (const [name, got, expected] of cases) test(name, () => assert.equal(got, expected));
});
