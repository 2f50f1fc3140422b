// Messages on the wire: what is written is read back, and whatever else comes is one typed refusal, quickly and in little memory.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Encoder } from 'cbor-x';
import fc from 'fast-check';
import { z } from 'zod';
import { MESSAGE_DEPTH } from './cbor-form.ts';
import { encodeMessage } from './encode-message.ts';
import { ProtocolError } from './errors.ts';
import { decodeFromHub, type FromHub } from './from-hub.ts';
import { decodeFromPeer, type FromPeer } from './from-peer.ts';
import { helloChallenge, type RunStatus, type RunView, uploadChallenge, WIRE_LIMITS } from './messages.ts';
import {
  packRequest,
  packTokens,
  type TokenRow,
  tokensOfMessage,
  unpackRequest,
  unpackTokens,
} from './serving-bytes.ts';
import { SERVE_LIMITS } from './serving-messages.ts';

const HASH = 'a'.repeat(64);

const view: RunView = {
  run: HASH,
  name: 'a run',
  game: 'pretrain',
  params: HASH,
  phase: 'working',
  round: 3,
  rounds: 10,
  attempt: 0,
  seed: HASH,
  remaining_ms: 4000,
  judging_ms: 1000,
  model: HASH,
  checkpoint: { merged_rounds: 0, model: HASH, rest: null },
  recent: [{ round: 0, parent: HASH, bundle: HASH, step: HASH, model: HASH }],
  submissions: [
    {
      ...{
        id: HASH,
        worker: HASH,
        runtime: 'wasm',
        consecutive_valid: 3,
        bond_permille: 3000,
        work: HASH,
        size_bytes: 5_000_000_000,
      },
      ...{
        amount: 99,
        numbers: { steps: 3, loss_micro: -1 },
        appealed: false,
        judges: [HASH],
        sealed: [HASH],
        shown: [],
      },
    },
  ],
  draw: HASH,
  reexecute_permille: 50,
  probation: 10,
  rating_permille: 0,
};
const {
  recent: _,
  submissions: __,
  checkpoint: ___,
  draw: _draw,
  reexecute_permille: ____,
  probation: _____,
  rating_permille: ______,
  ...shared
} = view;
const status: RunStatus = {
  ...shared,
  owner: HASH,
  round_ms: 1000,
  judging_ms: 1000,
  min_workers: 1,
  workers_needed: 1,
  peers: [
    {
      id: HASH,
      name: 'ada',
      role: 'worker',
      runtime: 'native-cpu',
      present: true,
      credit_amount: 2 ** 40,
      merged_submissions: 1,
      refused_submissions: 0,
      progress: {
        state: 'working',
        round: 3,
        amount: 4,
        amount_per_second: 1e4,
        numbers: { steps: 4, loss_micro: 3500000 },
      },
      bytes_up: 12,
      bytes_down: 2 ** 33,
    },
  ],
  submitted: 1,
  merged_amount: 5,
  bytes_submitted: 77,
  dense_bytes: 7777,
  amount_per_second: 0.25,
  numbers: { work: [], verdict: [] },
  unit: 'tokens',
  metrics: [{ name: 'loss_micro', words: 'validation loss', unit: 'nats', better: 'lower', first: 5.5, last: null }],
  evaluated_rounds: 0,
  problem: null,
};

const LEASE = '0123456789abcdef';
const fromServing: FromPeer[] = [
  {
    ...{ type: 'offer', model: HASH, quantisation: 'q4_0', engine: 'llama.cpp', class: 'llama.cpp 1, cpu' },
    ...{ context_tokens: 4096, free_tokens: 0, places: 3, chat: true, tools: false, heard: 7 },
    ...{ price_in: 5, price_out: 1000, region: 'the north' },
  },
  { type: 'answer-taken', lease: LEASE },
  { type: 'answer-begun', lease: LEASE, prompt_tokens: 12 },
  { type: 'answer-tokens', lease: LEASE, from: 3, packed: packTokens([[7, 'a\u{1f600}', false, null, []]]) },
  { type: 'answer-call', lease: LEASE, name: 'look', arguments: '{"at":[1]}' },
  { type: 'answer-ended', lease: LEASE, text: '', reason: 'tool_calls', end_id: 0, written_tokens: 4 },
  { type: 'answer-failed', lease: LEASE, code: 'leaving', message: 'its owner is back' },
  {
    ...{ type: 'judged', lease: LEASE, prompt_tokens: 3, flaw: 'wrong-end', draws: 9, differing: 2, impossible: 0 },
    ...{ margin: 1.25, end_margin: 0, logprob_distance: null },
  },
];
const fromPeer: FromPeer[] = [
  ...fromServing,
  { type: 'hello', protocol: 1, role: 'observer' },
  { type: 'hello', protocol: 1, role: 'worker', run: HASH, peer: HASH, signature: new Uint8Array(64) },
  { type: 'event', event: new Uint8Array(WIRE_LIMITS.event_bytes).fill(7) },
  {
    type: 'events',
    events: Array.from({ length: WIRE_LIMITS.events }, (_, i) => ({
      event: Uint8Array.of(i),
      enclosed: Uint8Array.of(9),
    })),
  },
  {
    type: 'progress',
    state: 'working',
    round: 1,
    amount: 2,
    amount_per_second: 12.25,
    numbers: { steps: 2, loss_micro: 1500000 },
  },
  { type: 'sample', model: HASH, prompt: 'It was', text: '<b>a\u202e\u{1f600}' },
];
const fromHub: FromHub[] = [
  { type: 'challenge', protocol: 1, hub: HASH, nonce: new Uint8Array(32) },
  { type: 'welcome', present: false, session: 3 },
  { type: 'run', view },
  { type: 'status', runs: [status, status] },
  {
    ...{ type: 'changes', whole: true, now_ms: 1, events: 2, runs: [], history: [], peers: [] },
    samples: [{ run: HASH, by: HASH, model: HASH, merged_rounds: 3, prompt: '', text: 'a' }],
  },
  { type: 'accepted', event: HASH, receipt: { format: 'potluck-receipt-v1', inclusion_proof: ['x'] } },
  { type: 'receipts', checkpoint: 'a\n', of: [{ event: HASH, index: 3, proof: new Uint8Array(64) }] },
  { type: 'refused', event: null, code: 'malformed', message: 'expected …' },
  {
    type: 'answer',
    lease: LEASE,
    model: HASH,
    quantisation: 'f32',
    request: packRequest({ deep: [[[[[[[[[[[[1]]]]]]]]]]]] }),
  },
  { type: 'judge', lease: LEASE, model: HASH, quantisation: 'q8_0', asked: packRequest({ ids: [1] }) },
  { type: 'answer-stop', lease: LEASE, why: 'caller-gone' },
  { type: 'offer-refused', model: HASH, code: 'unknown-model', message: 'expected …' },
];

/** Either the message is read, or it is refused with a ProtocolError; nothing else may happen. */
function readsOrRefuses(frame: Uint8Array): void {
  for (const decode of [decodeFromPeer, decodeFromHub]) {
    try {
      decode(frame);
    } catch (error) {
      assert.ok(error instanceof ProtocolError, `expected a ProtocolError, got ${error}`);
      assert.ok(['malformed', 'too-large'].includes(error.code));
      assert.match(error.message, /^message: .*/);
      assert.ok(error.message.length < 2000);
    }
  }
}

const refused = (frame: Uint8Array, message: RegExp, code = 'malformed'): void => {
  for (const decode of [decodeFromPeer, decodeFromHub]) {
    assert.throws(
      () => decode(frame),
      (error) => error instanceof ProtocolError && error.code === code && message.test(error.message),
    );
  }
};

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

test('every message is read back as it was written', () => {
  for (const message of fromPeer) assert.deepEqual(decodeFromPeer(encodeMessage(message)), message);
  for (const message of fromHub) assert.deepEqual(decodeFromHub(encodeMessage(message)), message);
});

test('a peer does not take what only peers say, and a hub not what only hubs say', () => {
  for (const message of fromPeer) assert.throws(() => decodeFromHub(encodeMessage(message)), ProtocolError);
  for (const message of fromHub) assert.throws(() => decodeFromPeer(encodeMessage(message)), ProtocolError);
});

test('tokens and requests in a message are read back, as many as fit, and nothing else is read', () => {
  const longest: [number, Uint8Array, number] = [SERVE_LIMITS.largest_id, new Uint8Array(16).fill(255), -1e-30];
  for (const top of [0, 1, 5, SERVE_LIMITS.top]) {
    const row: TokenRow = [7, 'x', false, longest, Array.from({ length: top }, () => longest)];
    const rows = Array.from({ length: tokensOfMessage(top) }, () => row);
    const packed = packTokens(rows);
    assert.ok(packed.length <= SERVE_LIMITS.packed_bytes, `${packed.length} bytes of ${rows.length} tokens`);
    assert.deepEqual(unpackTokens(packed), rows);
    assert.ok(rows.length >= (top === 0 ? 64 : 20));
  }
  const bad: unknown[] = [
    [],
    [[-1, 'x', false, null, []]],
    [[1.5, 'x', false, null, []]],
    [[1, 'x', 0, null, []]],
    [[1, 'x', false, [1, new Uint8Array(1), Number.NaN], []]],
    [[1, 'x', false, [1, new Uint8Array(1), 0.5], []]],
    [[1, 'x'.repeat(SERVE_LIMITS.token_text + 1), false, null, []]],
    Array.from({ length: SERVE_LIMITS.tokens + 1 }, () => [1, 'x', false, null, []]),
    [[1, 'x', false, null, [], 1]],
    {},
  ];
  for (const rows of bad) assert.throws(() => unpackTokens(packTokens(rows as TokenRow[])), { code: 'malformed' });
  const schema = z.strictObject({ a: z.number() });
  assert.deepEqual(unpackRequest(packRequest({ a: 1 }), schema), { a: 1 });
  for (const bytes of [packRequest({ a: 1, b: 2 }), packRequest([]), new Uint8Array([0xff]), new Uint8Array(0)]) {
    assert.throws(() => unpackRequest(bytes, schema), { code: 'malformed' });
  }
  assert.throws(() => packRequest({ a: 'x'.repeat(SERVE_LIMITS.request_bytes) }), { code: 'too-large' });
});

describe('what is refused', () => {
  test('a message above the limit, before it is looked at', () => {
    const frame = new Uint8Array(WIRE_LIMITS.message_bytes + 1);
    assert.throws(() => decodeFromHub(frame), { code: 'too-large', message: /at most 1048576 bytes, got 1048577/ });
  });

  test('from a peer, a message larger than any event', () => {
    const event = new Uint8Array(WIRE_LIMITS.event_bytes);
    const enclosed = new Uint8Array(WIRE_LIMITS.enclosed_bytes);
    assert.deepEqual(decodeFromPeer(encodeMessage({ type: 'event', event, enclosed })), {
      type: 'event',
      event,
      enclosed,
    });
    const more = new Uint8Array(WIRE_LIMITS.enclosed_bytes + 1);
    assert.throws(
      () => decodeFromPeer(encodeMessage({ type: 'event', event: Uint8Array.of(1), enclosed: more })),
      /enclosed/,
    );
    const long = 'ü'.repeat(2000);
    for (const message of [
      { type: 'sample', model: HASH, prompt: long.slice(0, 400), text: long },
      {
        type: 'progress',
        state: 'waiting',
        round: 0,
        amount: 0,
        amount_per_second: 0,
        numbers: { steps: 0, loss_micro: 0 },
        obstacle: { code: 'x', message: long.slice(0, 400) },
      },
    ] satisfies FromPeer[]) {
      assert.deepEqual(decodeFromPeer(encodeMessage(message)), message);
    }
    const frame = new Uint8Array(WIRE_LIMITS.from_peer_bytes + 1);
    assert.throws(() => decodeFromPeer(frame), { code: 'too-large', message: /at most 75000 bytes, got 75001/ });
  });

  test('from a peer, a field that nobody knows, before anything is built of many', () => {
    const encode = (message: object) =>
      new Uint8Array(new Encoder({ useRecords: false, tagUint8Array: false }).encode(message));
    const more = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i]));
    for (const message of fromPeer) {
      assert.throws(() => decodeFromPeer(encode({ ...message, extra: 1 })), { code: 'malformed', message: /extra/ });
      assert.throws(() => decodeFromPeer(encode({ ...message, ...more(40) })), /expected at most 32 fields, got \d+/);
    }
    const progress = {
      type: 'progress',
      state: 'waiting',
      round: 0,
      amount: 0,
      amount_per_second: 0,
      numbers: { steps: 0, loss_micro: 0 },
    };
    const obstacle = { code: 'x', message: 'y', extra: 1 };
    assert.throws(() => decodeFromPeer(encode({ ...progress, obstacle })), { code: 'malformed', message: /extra/ });
  });

  test('none, or more events in one message than a hub takes at once', () => {
    for (const length of [0, WIRE_LIMITS.events + 1]) {
      const events = Array.from({ length }, (_, i) => ({ event: Uint8Array.of(i) }));
      assert.throws(() => decodeFromPeer(encodeMessage({ type: 'events', events })), {
        code: 'malformed',
        message: /events/,
      });
    }
  });

  test('an event above its limit', () => {
    const event = new Uint8Array(WIRE_LIMITS.event_bytes + 1);
    assert.throws(() => decodeFromPeer(encodeMessage({ type: 'event', event })), /event: expected at most 65535 bytes/);
  });

  test('nothing, garbage, a map and a half, an unknown type', () => {
    refused(new Uint8Array(0), /expected 1 bytes at 0, got 0/);
    refused(hex('a0 a0'), /expected one item, got 1 bytes more/);
    refused(hex('a1'), /expected 1 bytes/);
    refused(hex('01'), /expected/);
    refused(new Uint8Array(new Encoder({ useRecords: false }).encode({ type: 'reboot' })), /type/);
  });

  test('NaN and infinities where people see a number', () => {
    for (const amount_per_second of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const frame = encodeMessage({
        type: 'progress',
        state: 'working',
        round: 0,
        amount: 0,
        amount_per_second,
        numbers: {},
      });
      assert.throws(() => decodeFromPeer(frame), /amount_per_second/);
    }
  });

  test('lengths that promise gigabytes, alone and inside each other', () => {
    for (const head of [
      '9b 00 00 00 01 00 00 00 00',
      'bb 7f ff ff ff ff ff ff ff',
      '5b ff ff ff ff ff ff ff ff',
      '7a ff ff ff ff',
    ]) {
      refused(hex(head), /expected/);
    }
    const nested = new Uint8Array(WIRE_LIMITS.from_peer_bytes);
    for (let at = 0; at + 5 <= nested.length; at += 5) nested.set(hex('9a 00 ff ff ff'), at);
    assert.throws(() => decodeFromHub(nested), { code: 'malformed', message: /at most 12 levels, got more/ });
    assert.throws(() => decodeFromPeer(nested), { code: 'malformed', message: /at most 32 fields, got 16777215/ });
  });

  test('nesting that would overflow a stack', () => {
    for (const byte of [0x81, 0xa1, 0xc1]) refused(new Uint8Array(WIRE_LIMITS.from_peer_bytes).fill(byte), /expected/);
    const deepest = new Uint8Array(MESSAGE_DEPTH + 1).fill(0x81);
    deepest[MESSAGE_DEPTH] = 0x00;
    refused(deepest, /message: (type|body)/); // just not too deep: refused for what it says
  });

  test('tags, indefinite lengths, reserved heads, keys that are no texts', () => {
    refused(hex('d8 1b 82 66 526567457870 61 61'), /plain data, got a tag/); // tag 27: "construct a RegExp"
    refused(hex('d8 1c 81 d8 1d 00'), /plain data, got a tag/); // a list that contains itself
    refused(hex('9f 01 ff'), /an indefinite one/);
    refused(hex('1c'), /reserved head 28/);
    refused(hex('f8 20'), /simple value 24/);
    refused(hex('a1 01 02'), /texts as field names, got major type 0/);
  });

  test('a field named __proto__ changes nobody', () => {
    const frame = hex('a2 69 5f5f70726f746f5f5f a1 65 61646d696e f5 64 74797065 67 77656c636f6d65'); // {__proto__: {admin: true}, type: "welcome"}
    assert.throws(() => decodeFromHub(frame), ProtocolError);
    assert.equal(({} as { admin?: boolean }).admin, undefined);
  });
});

describe('fuzz', () => {
  const valid = [...fromPeer.map(encodeMessage), ...fromHub.map(encodeMessage)].filter((frame) => frame.length < 5000);

  test('random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), readsOrRefuses), { numRuns: 3000 });
  });

  test('valid messages with bytes changed, cut out, doubled and cut off', () => {
    const edit = fc.record({ at: fc.nat(), byte: fc.nat(255), kind: fc.constantFrom('set', 'cut', 'insert', 'end') });
    fc.assert(
      fc.property(fc.constantFrom(...valid), fc.array(edit, { minLength: 1, maxLength: 4 }), (frame, edits) => {
        let bytes = [...frame];
        for (const { at, byte, kind } of edits) {
          const place = at % (bytes.length + 1);
          if (kind === 'set') bytes[Math.min(place, bytes.length - 1)] = byte;
          else if (kind === 'cut') bytes.splice(place, 3);
          else if (kind === 'insert') bytes.splice(place, 0, byte, byte);
          else bytes = bytes.slice(0, place);
        }
        readsOrRefuses(Uint8Array.from(bytes));
      }),
      { numRuns: 3000 },
    );
  });

  test('any JSON in the right envelope', () => {
    const encoder = new Encoder({ useRecords: false });
    fc.assert(
      fc.property(
        fc.constantFrom('hello', 'event', 'progress', 'run', 'status', 'accepted'),
        fc.object(),
        (type, fields) => {
          readsOrRefuses(new Uint8Array(encoder.encode({ ...fields, type })));
        },
      ),
      { numRuns: 1000 },
    );
  });
});

test('what a peer signs names the hub, so that no hub can use it at another', () => {
  const nonce = new Uint8Array(32).fill(1);
  assert.notDeepEqual(helloChallenge(HASH, nonce), helloChallenge('b'.repeat(64), nonce));
  assert.notDeepEqual(uploadChallenge(HASH, HASH), uploadChallenge('b'.repeat(64), HASH));
});
