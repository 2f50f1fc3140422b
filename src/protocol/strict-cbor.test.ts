// The strict codec against @ipld/dag-cbor: it writes what the library writes, and accepts exactly those byte strings.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '@ipld/dag-cbor';
import fc from 'fast-check';
import { ProtocolError } from './errors.ts';
import { decodeStrict, type EventValue, MAX_DEPTH } from './strict-cbor.ts';
import { encodeStrict } from './strict-cbor-encode.ts';

const LEAVES = [
  fc.constantFrom(null, true, false),
  fc.maxSafeInteger(),
  // Around every length of an integer's head.
  fc
    .tuple(fc.constantFrom(24, 2 ** 8, 2 ** 16, 2 ** 32, 2 ** 53 - 2), fc.integer({ min: -1, max: 1 }), fc.boolean())
    .map(([edge, off, negative]) => (negative ? -(edge + off) : edge + off)),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom('x'.repeat(300), '\0', '\u{10ffff}'),
  fc.uint8Array({ maxLength: 300 }),
] as const;

const tree = fc.letrec<{ value: EventValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    ...LEAVES,
    fc.array(tie('value'), { maxLength: 30 }),
    fc.dictionary(
      fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 30, noNullPrototype: true },
    ),
  ),
})).value;

/** The library's decoder drops a byte order mark at the start of a text, so with one in it it is no oracle. */
const BYTE_ORDER_MARK = Buffer.from('efbbbf', 'hex');

/** The oracle: what dag-cbor decodes, holds only allowed values, and writes again to the same bytes. */
function oracle(bytes: Uint8Array): boolean {
  const allowed = (value: unknown, depth: number): boolean => {
    if (depth > MAX_DEPTH) return false;
    if (value === null || typeof value === 'boolean' || value instanceof Uint8Array) return true;
    if (typeof value === 'number') return Number.isSafeInteger(value);
    if (typeof value === 'string') return value.isWellFormed();
    if (Array.isArray(value)) return value.every((element) => allowed(element, depth + 1));
    if (typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return false;
    return Object.entries(value).every(([key, field]) => key !== '__proto__' && allowed(field, depth + 1));
  };
  try {
    const value = decode(bytes);
    return allowed(value, 0) && Buffer.from(bytes).equals(encode(value));
  } catch {
    return false;
  }
}

function accepts(bytes: Uint8Array): boolean {
  try {
    decodeStrict(bytes);
    return true;
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return false;
  }
}

test('whatever dag-cbor writes is read back as the same value', () => {
  fc.assert(
    fc.property(tree, (value) => {
      // Through the library once, so that -0 becomes 0.
      assert.deepEqual(decodeStrict(encode(value)), decode(new Uint8Array(encode(value))));
    }),
    { numRuns: 300 },
  );
});

test('what is written is what dag-cbor writes', () => {
  const same = (value: EventValue) => assert.deepEqual(encodeStrict(value), new Uint8Array(encode(value)));
  fc.assert(fc.property(tree, same), { numRuns: 1000 });
  // Longer than the buffer that is kept, and short again after it.
  for (const value of ['é'.repeat(60_000), 'x'.repeat(70_000), new Uint8Array(200_000), [-0, 0], {}, []]) same(value);
  // Names of one length in letters but not in bytes, and such whose order in UTF-16 is not that of their bytes.
  same({ é: 1, ab: 2, b: 3, '\uffee': 4, '\u{10000}': 5, abc: 6, aé: 7 });
});

test('names of fields: shorter ones first, then by byte, also beyond ASCII', () => {
  const order = ['b', 'é', 'aa', 'zz', 'ß9', 'aaa', '語', 'zzz', 'b-é'];
  const sorted = order.toSorted(
    (a, b) => Buffer.byteLength(a) - Buffer.byteLength(b) || Buffer.compare(Buffer.from(a), Buffer.from(b)),
  );
  for (const names of [sorted, sorted.filter((name) => /^[a-z]+$/.test(name))]) {
    const bytes = encodeStrict(Object.fromEntries(names.toReversed().map((name) => [name, 1])));
    assert.deepEqual(Object.keys(decodeStrict(bytes) as object), names);
  }
});

test('a text is never taken for one that came before', () => {
  const texts = [
    'a'.repeat(64),
    `${'a'.repeat(63)}b`,
    'a'.repeat(63),
    'a'.repeat(65),
    `b${'a'.repeat(63)}`,
    '',
    'é'.repeat(32),
  ];
  for (const text of [...texts, ...texts]) assert.equal(decodeStrict(encodeStrict(text)), text);
  // What could not be decoded is not known either.
  const broken = Uint8Array.of(0x62, 0xc3, 0x28);
  for (let i = 0; i < 2; i++) assert.throws(() => decodeStrict(broken), { code: 'malformed' });
  // Each takes the place of some other.
  for (let i = 0; i < 20_000; i++) assert.equal(decodeStrict(encodeStrict(`${i % 9000}é`)), `${i % 9000}é`);
});

test('damaged encodings: accepted exactly when dag-cbor would write them so', () => {
  let accepted = 0;
  fc.assert(
    fc.property(
      tree,
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom('flip', 'insert', 'drop'),
      (value, where, byte, how) => {
        const bytes = [...encode(value)];
        const at = where % bytes.length;
        if (how === 'flip') bytes[at] ^= byte;
        else bytes.splice(at, how === 'drop' ? 1 : 0, ...(how === 'insert' ? [byte] : []));
        const damaged = Uint8Array.from(bytes);
        fc.pre(!Buffer.from(damaged).includes(BYTE_ORDER_MARK));
        const verdict = accepts(damaged);
        if (verdict) accepted++;
        assert.equal(verdict, oracle(damaged), Buffer.from(damaged).toString('hex'));
      },
    ),
    { numRuns: 3_000 },
  );
  assert.ok(accepted > 0, 'no damaged encoding was another valid one: the comparison shows nothing');
});

test('arbitrary bytes: accepted exactly when dag-cbor would write them so', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 12 }), (bytes) => accepts(bytes) === oracle(bytes)),
    { numRuns: 5_000 },
  );
  // Every pair of bytes, exhaustively.
  for (let pair = 0; pair < 0x10000; pair++) {
    const bytes = Uint8Array.of(pair >> 8, pair & 255);
    assert.equal(accepts(bytes), oracle(bytes), Buffer.from(bytes).toString('hex'));
  }
});

test('a byte order mark at the start of a text is part of the text', () => {
  for (const text of ['\ufeff', '\ufeffa', `\ufeff${'long '.repeat(20)}`])
    assert.equal(decodeStrict(encode(text)), text);
});

test('what is decoded does not share memory with the input', () => {
  const input = Buffer.from(encode({ bytes: Uint8Array.of(1, 2, 3) }));
  const { bytes } = decodeStrict(input) as { bytes: Uint8Array };
  input.fill(0);
  assert.deepEqual(bytes, Uint8Array.of(1, 2, 3));
});

test('a text is what its bytes say, however many came before at the same place', () => {
  const texts = Array.from({ length: 6000 }, (_, i) =>
    i % 7 === 0 ? `é${i}` : `n${(i * 7919).toString(36)}`.slice(0, 2 + (i % 23)),
  );
  for (const text of [...texts, ...texts.toReversed(), '', 'n', 'n0', 'n00']) {
    assert.equal(decodeStrict(encodeStrict(text)), text);
    assert.deepEqual(decodeStrict(encodeStrict({ [text]: text })), { [text]: text });
  }
});
