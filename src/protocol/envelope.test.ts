// Signed events: one encoding each, every deviation a ProtocolError, whatever bytes come.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '@ipld/dag-cbor';
import fc from 'fast-check';
import {
  areSignedByAuthor,
  type EventBody,
  encodeBody,
  eventId,
  MAX_EVENT_BYTES,
  openEvent,
  signEvent,
} from './envelope.ts';
import { ProtocolError, type ProtocolErrorCode } from './errors.ts';
import { sha256Hex } from './hash.ts';
import { createIdentity, identityFromSecret } from './identity.ts';

const ana = identityFromSecret(new Uint8Array(32).fill(7));
const BODY: EventBody = {
  type: 'submission',
  version: 1,
  round: 3,
  blob: new Uint8Array(32).fill(1),
  list: [0, -1, null, true, 'ä', { x: Number.MAX_SAFE_INTEGER }],
};

/** An event around any body bytes, signed properly: what a peer could send that does not use our encoder. */
async function signedRaw(body: Uint8Array): Promise<Uint8Array> {
  const message = Uint8Array.from([...new TextEncoder().encode('potluck-event-v1\0'), ...body]);
  return encode([1, Uint8Array.from(Buffer.from(ana.id, 'hex')), body, await ana.sign(message)]);
}

const throwsWith = (step: () => unknown, code: ProtocolErrorCode, hint = '') =>
  assert.throws(step, (error) => {
    assert.ok(error instanceof ProtocolError, `${hint} ${error}`);
    assert.equal(error.code, code, `${hint} ${error.message}`);
    return true;
  });

/** Values that an event may hold, as deep as it may hold them. */
const eventValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 4 },
    ),
  ),
})).value;

test('what is signed comes back, with its author, under the hash of its bytes', async () => {
  await fc.assert(
    fc.asyncProperty(eventValue, async (value) => {
      const body = { type: 'test', version: 2, value } as EventBody;
      const bytes = await signEvent(ana, body);
      const opened = openEvent(bytes);
      assert.equal(opened.id, sha256Hex(bytes));
      assert.equal(opened.id, eventId(bytes));
      assert.equal(opened.author, ana.id);
      // -0 is an integer without a sign here; encoding both sides compares values and not prototypes.
      assert.deepEqual(encode(opened.body), encode(body));
      assert.deepEqual(await signEvent(ana, opened.body), bytes, 'signing again must give the same event');
    }),
    { numRuns: 150 },
  );
});

test('the envelope is the DAG-CBOR array [1, author, body, signature]', async () => {
  for (const size of [0, 10, 200, 300, 60_000]) {
    const bytes = await signEvent(ana, { ...BODY, padding: new Uint8Array(size) });
    const parts = decode<[number, Uint8Array, Uint8Array, Uint8Array]>(bytes);
    assert.equal(parts.length, 4);
    assert.equal(parts[0], 1);
    assert.equal(Buffer.from(parts[1]).toString('hex'), ana.id);
    assert.deepEqual(new Uint8Array(parts[2]), new Uint8Array(encode({ ...BODY, padding: new Uint8Array(size) })));
    assert.equal(parts[3].length, 64);
    assert.deepEqual(new Uint8Array(encode(parts)), bytes);
  }
});

test('bodies that may not be signed', async () => {
  const rejects = async (body: unknown, code: ProtocolErrorCode) =>
    assert.rejects(signEvent(ana, body as EventBody), (error) => {
      assert.ok(error instanceof ProtocolError, String(error));
      assert.equal(error.code, code, error.message);
      return true;
    });
  const forbidden: unknown[] = [
    0.5,
    NaN,
    Infinity,
    2 ** 53,
    -(2 ** 53),
    10n,
    undefined,
    () => 1,
    Symbol('x'),
    new Date(),
  ];
  forbidden.push(new Map([['a', 1]]), new Float32Array(2), new ArrayBuffer(2), '\ud800', { '\udc00': 1 });
  forbidden.push(new Array(3), JSON.parse('{"__proto__": 1}'), new Set([1]), Object.create({ inherited: 1 }));
  for (const value of forbidden) await rejects({ type: 'test', version: 1, value }, 'forbidden-value');
  for (const body of [null, [], 'text', 7, {}, { type: 'x' }, { type: '', version: 1 }, { type: 1, version: 1 }]) {
    await rejects(body, 'malformed');
  }
  for (const version of [0, -1, '1', null, true]) await rejects({ type: 'x', version }, 'malformed');
  let deep: unknown = 1;
  for (let i = 0; i < 16; i++) deep = [deep];
  await rejects({ type: 'x', version: 1, deep }, 'malformed');
  assert.doesNotThrow(() => encodeBody({ type: 'x', version: 1, deep: (deep as EventBody[])[0] }));
  await rejects({ type: 'x', version: 1, padding: new Uint8Array(MAX_EVENT_BYTES) }, 'too-large');
});

test('bodies that another encoder could sign are refused for what is wrong with them', async () => {
  const hex = async (body: string) => signedRaw(Uint8Array.from(Buffer.from(body, 'hex')));
  const T = '6474797065' + '6174'; // "type": "t"
  const V = '6776657273696f6e' + '01'; // "version": 1
  assert.equal(openEvent(await hex(`a2${T}${V}`)).body.type, 't');
  const cases: [string, string, ProtocolErrorCode][] = [
    ['fields out of order', `a2${V}${T}`, 'not-canonical'],
    ['a repeated field', `a3${T}${T}${V}`, 'not-canonical'],
    ['an integer longer than needed', `a2${T}6776657273696f6e1801`, 'not-canonical'],
    ['a text longer than needed', `a2${T.replace('6174', '780174')}${V}`, 'not-canonical'],
    ['indefinite length', `bf${T}${V}ff`, 'malformed'],
    ['a fraction', `a3616bfb3ff8000000000000${T}${V}`, 'forbidden-value'],
    ['an integer as a fraction', `a3616bfb3ff0000000000000${T}${V}`, 'forbidden-value'],
    ['a short fraction', `a3616bf93c00${T}${V}`, 'forbidden-value'],
    ['NaN', `a3616bf97e00${T}${V}`, 'forbidden-value'],
    ['undefined', `a3616bf7${T}${V}`, 'malformed'],
    ['a tag', `a3616bc001${T}${V}`, 'forbidden-value'],
    ['2^53', `a3616b1b0020000000000000${T}${V}`, 'forbidden-value'],
    ['-2^53', `a3616b3b001fffffffffffff${T}${V}`, 'forbidden-value'],
    ['2^64 - 1', `a3616b1bffffffffffffffff${T}${V}`, 'forbidden-value'],
    ['text that is not UTF-8', `a3616b61ff${T}${V}`, 'malformed'],
    ['a surrogate as UTF-8', `a3616b63eda080${T}${V}`, 'malformed'],
    ['a field that is a number', `a301f6${T}${V}`, 'malformed'],
    ['a field named __proto__', `a3${T}${V}695f5f70726f746f5f5ff6`, 'forbidden-value'],
    ['bytes after the body', `a2${T}${V}00`, 'malformed'],
    ['a length that is not there', `a3616b5affffffff${T}${V}`, 'malformed'],
    ['a list of four billion', `a3616b9affffffff${T}${V}`, 'malformed'],
    ['no bytes', '', 'malformed'],
    ['a list', '80', 'malformed'],
    ['no version', `a1${T}`, 'malformed'],
  ];
  for (const [what, body, code] of cases) {
    const event = await hex(body);
    throwsWith(() => openEvent(event), code, what);
  }
});

test('nesting that would exhaust a decoder is refused like nesting that would not', async () => {
  for (const depth of [17, 100, 5_000, 60_000]) {
    const body = Uint8Array.from([
      ...Buffer.from('a36161', 'hex'),
      ...new Uint8Array(depth).fill(0x81),
      0x01,
      ...Buffer.from('647479706561746776657273696f6e01', 'hex'),
    ]);
    const event = await signedRaw(body);
    throwsWith(() => openEvent(event), 'malformed', `depth ${depth}`);
  }
});

test('envelopes of the wrong form', async () => {
  const event = await signEvent(ana, BODY);
  const changed = (at: number, byte: number) => {
    const bytes = event.slice();
    bytes[at < 0 ? bytes.length + at : at] = byte;
    return bytes;
  };
  throwsWith(() => openEvent(changed(1, 2)), 'unknown-version');
  throwsWith(() => openEvent(changed(0, 0x83)), 'malformed');
  throwsWith(() => openEvent(changed(1, 0x20)), 'malformed');
  throwsWith(() => openEvent(changed(3, 31)), 'malformed');
  throwsWith(() => openEvent(changed(37, event[37] + 1)), 'malformed');
  throwsWith(() => openEvent(changed(-65, 63)), 'malformed');
  throwsWith(() => openEvent(Uint8Array.from([...event, 0])), 'malformed');
  throwsWith(() => openEvent(new Uint8Array(0)), 'malformed');
  throwsWith(() => openEvent(new Uint8Array(MAX_EVENT_BYTES + 1)), 'too-large');
  // The length of the body, written with a longer header than needed.
  const body = encode({ type: 't', version: 1 });
  const good = await signedRaw(body);
  const padded = Uint8Array.from([...good.subarray(0, 36), 0x58, body.length, ...good.subarray(37)]);
  throwsWith(() => openEvent(padded), 'malformed');
});

test('a signature by another, over another body, or for another purpose', async () => {
  const event = await signEvent(ana, BODY);
  const stolen = event.slice();
  stolen.set(Buffer.from(createIdentity().id, 'hex'), 4);
  throwsWith(() => openEvent(stolen), 'bad-signature');
  const other = await signEvent(ana, { ...BODY, round: 4 });
  other.set(event.subarray(-64), other.length - 64);
  throwsWith(() => openEvent(other), 'bad-signature');
  const body = encode({ type: 't', version: 1 });
  const unprefixed = encode([1, Uint8Array.from(Buffer.from(ana.id, 'hex')), body, await ana.sign(body)]);
  throwsWith(() => openEvent(unprefixed), 'bad-signature');
  // Skipping the signature skips nothing else.
  assert.equal(openEvent(other, { verify_signature: false }).body.round, 4);
  throwsWith(() => openEvent(other.subarray(1), { verify_signature: false }), 'malformed');
});

test('arbitrary bytes never raise anything but a ProtocolError', async () => {
  const refused = (bytes: Uint8Array) => {
    for (const verify_signature of [true, false]) {
      try {
        openEvent(bytes, { verify_signature });
      } catch (error) {
        assert.ok(error instanceof ProtocolError, `${error}`);
        if (verify_signature) return true;
      }
    }
    return false;
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => assert.ok(refused(bytes))),
    { numRuns: 2_000 },
  );
  // Any body inside a sound envelope.
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (body) => assert.ok(refused(await signedRaw(body)))),
    { numRuns: 1_000 },
  );
  const event = await signEvent(ana, BODY);
  for (let bit = 0; bit < event.length * 8; bit++) {
    const flipped = event.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    assert.ok(refused(flipped), `bit ${bit} flipped and still accepted`);
  }
  for (let length = 0; length < event.length; length++) assert.ok(refused(event.subarray(0, length)));
});

test('signatures by themselves: right where openEvent says so, wrong after any flipped bit, each at its place, never an exception', async () => {
  const bytes = await signEvent(ana, BODY);
  const flipped = Array.from(bytes, (byte, at) => bytes.with(at, byte ^ (1 << (at % 8))));
  const mixed = flipped.flatMap((other) => [other, bytes]);
  assert.deepEqual(
    await areSignedByAuthor(mixed),
    mixed.map((event) => event === bytes),
  );
  assert.deepEqual(await areSignedByAuthor([]), []);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 400 })), async (any) => {
      assert.deepEqual(
        await areSignedByAuthor(any),
        any.map(() => false),
      );
    }),
  );
});
