// Tokenizers: bytes are plain, Hugging Face's own ids are reproduced, and streaming never shows half a character.
// test/fixtures/tokenizer-shapes.json holds tokenizer.json files of every kind that test/tokenizers.ts has drawn, with the ids and texts
// that Hugging Face's tokenizers 0.23.2 (Rust) gave. test/fixtures/tokenizers.json holds two small vocabularies trained by Hugging Face tokenizers 0.23.2, with its ids for some texts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { ModelError } from './errors.ts';
import { KINDS, tokenizerJson } from './testing/vocabulary.ts';
import { byteTokenizer, END_OF_TEXT, streamDecoder, tokenizerFromJson } from './tokenizer.ts';

interface Fixture {
  tokenizer: object;
  samples: { text: string; ids: number[] }[];
}
const fixtures: Record<'byte_level' | 'byte_fallback', Fixture> = JSON.parse(
  readFileSync(new URL('../../test/fixtures/tokenizers.json', import.meta.url), 'utf8'),
);
const shapes: { tokenizer: object; samples: { text: string; ids: number[]; decoded: string }[] }[] = JSON.parse(
  readFileSync(new URL('../../test/fixtures/tokenizer-shapes.json', import.meta.url), 'utf8'),
);
const bytes = byteTokenizer();
const byteLevel = tokenizerFromJson(JSON.stringify(fixtures.byte_level.tokenizer));
const byteFallback = tokenizerFromJson(JSON.stringify(fixtures.byte_fallback.tokenizer));

test('a byte is its own id and end-of-text is 256', () => {
  assert.deepEqual([...bytes.encode('é')], [0xc3, 0xa9]);
  assert.deepEqual([...bytes.encode(`${END_OF_TEXT}a${END_OF_TEXT}`)], [256, 97, 256]);
  assert.deepEqual([...bytes.encode('')], []);
  assert.equal(bytes.decode([0xc3, 0xa9, 256, 0xc3]), `é${END_OF_TEXT}\ufffd`);
  assert.equal(bytes.vocab_size, 257);
  assert.throws(() => bytes.decode([257]), { name: 'ModelError', code: 'bad-input' });
  assert.throws(() => bytes.decode([0.5]), { name: 'ModelError', code: 'bad-input' });
});

test('the tokenizer.json of the bytes means the same where it is read like any other', () => {
  // Written differently, so that it is read instead of our own shortcut.
  const library = tokenizerFromJson(JSON.stringify(JSON.parse(bytes.json), null, 1));
  assert.notEqual(library.json, bytes.json);
  assert.deepEqual([library.vocab_size, library.bos_id, library.eos_id], [257, 256, 256]);
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constant(END_OF_TEXT))), (parts) => {
      const text = parts.join('').toWellFormed();
      const ids = [...bytes.encode(text)];
      assert.deepEqual([...library.encode(text)], ids);
      assert.equal(bytes.decode(ids), text);
      assert.equal(library.decode(ids), text);
    }),
  );
});

for (const [name, tokenizer] of Object.entries({ byte_level: byteLevel, byte_fallback: byteFallback })) {
  test(`${name}: the ids that Hugging Face tokenizers gives`, () => {
    for (const { text, ids } of fixtures[name as keyof typeof fixtures].samples) {
      assert.deepEqual([...tokenizer.encode(text)], ids);
    }
    assert.equal(tokenizer.eos_id, tokenizer.encode('</s>').at(-1));
    assert.equal(tokenizer.encode('<s>').at(0), tokenizer.bos_id);
  });
}

test('tokenizers of every kind give the ids and the texts that the Rust library gives', () => {
  for (const [number, { tokenizer, samples }] of shapes.entries()) {
    const ours = tokenizerFromJson(JSON.stringify(tokenizer));
    for (const { text, ids, decoded } of samples) {
      const what = `shape ${number}, ${JSON.stringify(text)}`;
      assert.deepEqual([...ours.encode(text)], ids, what);
      assert.equal(ours.decode(ids), decoded, what);
    }
  }
});

/** A tokenizer of single characters with what a test adds to it. */
function characterTokenizer(parts: object, model: object = {}): string {
  const vocab = Object.fromEntries(Array.from('abc é1.', (character, id) => [character, id]));
  return JSON.stringify({ added_tokens: [], model: { type: 'BPE', vocab, merges: [], ...model }, ...parts });
}

test('what would give other ids than the Rust library is refused when it is read, by name', () => {
  const added = (id: number, content: string, more = {}) => ({
    id,
    content,
    special: true,
    normalized: false,
    ...more,
  });
  for (const [json, says] of [
    [characterTokenizer({ added_tokens: [added(9, '<s>')] }), /"<s>" has the id 9 in the file, .* give it 7/],
    [characterTokenizer({ added_tokens: [added(7, '<s>'), added(9, '</s>')] }), /"<\/s>" has the id 9 .* give it 8/],
    [characterTokenizer({ added_tokens: [added(1, 'a')] }), /"a" has the id 1 in the file, .* give it 0/],
    [characterTokenizer({}, { type: 'WordLevel', unk_token: '[UNK]' }), /unk_token "\[UNK\]" is not in the vocabulary/],
    [characterTokenizer({}, { type: 'WordPiece', unk_token: '[UNK]' }), /"\[UNK\]" is not in the vocabulary/],
    [characterTokenizer({}, { type: 'Unigram', unk_id: null, vocab: [['a', -1]] }), /unk_id null/],
    [characterTokenizer({}, { dropout: 0.1 }), /dropout 0\.1/],
    [characterTokenizer({}, { merges: ['a z'] }), /"z" of merge 0 is not in the vocabulary/],
    [characterTokenizer({}, { vocab: { a: 0, b: 0 } }), /"a" and "b" have the same id 0/],
    [characterTokenizer({ pre_tokenizer: { type: 'UnicodeScripts' } }), /the pre-tokenizer "UnicodeScripts"/],
    [characterTokenizer({ normalizer: { type: 'Upside' } }), /the normalizer "Upside"/],
    [characterTokenizer({ decoder: { type: 'CTC' } }), /the decoder "CTC"/],
    [
      characterTokenizer({
        pre_tokenizer: { type: 'Split', pattern: { Regex: '(a)\\1' }, behavior: 'Isolated', invert: false },
      }),
      /the regular expression "\(a\)\\\\1" is not translated/,
    ],
    [
      characterTokenizer({
        normalizer: { type: 'Strip', strip_left: true, strip_right: true },
        added_tokens: [{ id: 7, content: '  ', normalized: true }],
      }),
      /nothing is left of the added token " {2}"/,
    ],
  ] as const) {
    assert.throws(() => tokenizerFromJson(json), { name: 'ModelError', message: says }, json);
  }
  // Truncation and padding in the file are no part of a text's ids.
  const truncation = { max_length: 2, strategy: 'LongestFirst', stride: 0, direction: 'Right' };
  assert.deepEqual([...tokenizerFromJson(characterTokenizer({ truncation })).encode('abcabc')], [0, 1, 2, 0, 1, 2]);
});

test('white space that a token has taken is nothing to the next one', () => {
  const plain = { normalized: false, special: true };
  const added_tokens = [
    { id: 7, content: '<a>', rstrip: true, ...plain },
    { id: 8, content: '  ', lstrip: true, ...plain },
  ];
  const tokenizer = tokenizerFromJson(characterTokenizer({ added_tokens }));
  assert.deepEqual([...tokenizer.encode('b<a>  c   a')], [1, 7, 2, 8, 3, 0]);
});

test('U+FEFF survives byte fallback and byte level, at the beginning and in the middle', () => {
  for (const tokenizer of [byteLevel, byteFallback]) {
    for (const text of ['\ufeffa', 'a\ufeff\ufeffb'])
      assert.ok(tokenizer.decode(tokenizer.encode(text)).endsWith(text));
  }
});

test('a long text without a space takes time in proportion to its length, whatever the kind', () => {
  for (const kind of KINDS) {
    const tokenizer = tokenizerFromJson(tokenizerJson(kind, ['able', 'about', 'apple', 'bear', 'lemon', 'zebra']));
    for (const repeated of ['a', 'abzqlemonbear', '😀', '▁']) {
      const seconds = (length: number): number => {
        const text = repeated.repeat(Math.ceil(length / repeated.length));
        const before = process.cpuUsage();
        assert.ok(tokenizer.encode(text).length > 0);
        const { user, system } = process.cpuUsage(before);
        return (user + system) / 1e6;
      };
      seconds(20_000);
      const [short, long] = [seconds(20_000), seconds(200_000)];
      // Ten times the length; squared it would be a hundred times.
      assert.ok(long < 30 * Math.max(short, 0.01), `${kind}, ${repeated}: ${short} s, then ${long} s`);
    }
  }
});

test('streamed pieces together are the decoded text, and no piece ends within a character', () => {
  const text = fc.string({ unit: fc.constantFrom('a', ' ', 'the', '\n', 'é', '日', '😀', '👩‍🚀', '\ufffd') });
  for (const tokenizer of [bytes, byteLevel, byteFallback]) {
    fc.assert(
      fc.property(text, (value) => {
        const ids = [...tokenizer.encode(value)];
        const decoder = streamDecoder(tokenizer);
        const pieces = ids.map((id) => decoder.push(id));
        for (const piece of pieces) assert.ok(piece.isWellFormed() && !piece.endsWith('\ufffd'));
        assert.equal(pieces.join('') + decoder.end(), tokenizer.decode(ids));
      }),
    );
  }
});

test('streamed pieces of any ids, also of bytes that are no text, are the decoded text', () => {
  for (const tokenizer of [bytes, byteLevel]) {
    fc.assert(
      fc.property(fc.array(fc.nat(tokenizer.vocab_size - 1), { maxLength: 60 }), (ids) => {
        const decoder = streamDecoder(tokenizer);
        assert.equal(ids.map((id) => decoder.push(id)).join('') + decoder.end(), tokenizer.decode(ids));
      }),
    );
  }
});

test('a character appears with its last byte, not later', () => {
  const decoder = streamDecoder(bytes);
  assert.deepEqual(
    [...new TextEncoder().encode('a😀b')].map((byte) => decoder.push(byte)),
    ['a', '', '', '', '😀', 'b'],
  );
  assert.equal(decoder.push(0xf0), '');
  assert.equal(decoder.end(), '\ufffd');
});

test('tokenizer_config.json decides the special tokens; what is not in the vocabulary is refused', () => {
  const json = byteLevel.json;
  const configured = tokenizerFromJson(json, { bos_token: null, eos_token: { content: '<s>' } });
  assert.deepEqual([configured.bos_id, configured.eos_id], [null, byteLevel.bos_id]);
  assert.throws(() => tokenizerFromJson(json, { eos_token: '<nowhere>' }), { code: 'bad-tokenizer' });
});

test('what is no tokenizer is refused with a typed error', () => {
  for (const json of ['', '{', '[]', '{}', '{"model":{"type":"Nonsense","vocab":{}}}', '{"model":{"type":"BPE"}}']) {
    assert.throws(() => tokenizerFromJson(json), { name: 'ModelError', code: 'bad-tokenizer' }, json);
  }
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      try {
        tokenizerFromJson(JSON.stringify({ model: value }));
      } catch (error) {
        assert.ok(error instanceof ModelError, String(error));
      }
    }),
  );
});
