// The table of tokens: its bytes are those of the text, no text of a stranger becomes a special token, and every usual end is known.
// test/fixtures/tokenizers.json: two small vocabularies of Hugging Face's; tokenizer-shapes.json: tokenizers of every kind.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { byteTokenizer, tokenizerFromJson } from '../model/tokenizer.ts';
import { tokenTable } from './token-table.ts';

const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../test/fixtures/${name}.json`, import.meta.url), 'utf8'));
const { byte_level, byte_fallback } = fixture('tokenizers');
const tokenizers = {
  bytes: byteTokenizer(),
  'bytes of a tokenizer.json': tokenizerFromJson(`${byteTokenizer().json} `),
  'byte level': tokenizerFromJson(JSON.stringify(byte_level.tokenizer)),
  'byte fallback': tokenizerFromJson(JSON.stringify(byte_fallback.tokenizer)),
};
const SPECIALS = ['<s>', '</s>', '<|endoftext|>'];
const texts = fc
  .array(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...SPECIALS, ' the', '  ', '☃', '<0x41>', 'é')))
  .map((parts) => parts.join('').toWellFormed());

for (const [name, tokenizer] of Object.entries(tokenizers)) {
  test(`${name}: the bytes of a text's tokens are the text's`, () => {
    const table = tokenTable(tokenizer);
    fc.assert(
      fc.property(texts, (text) => {
        const ids = table.encode(text, false);
        const bytes = Buffer.concat(ids.map((id) => table.bytesOf(id)));
        // SentencePiece puts a space before the text, which only the decoder of a whole text takes away again.
        const before = name === 'byte fallback' && text !== '' ? ' ' : '';
        assert.equal(bytes.toString('latin1'), Buffer.from(before + text).toString('latin1'));
      }),
    );
  });

  test(`${name}: spelled-out special tokens are tokens only where that is asked for`, () => {
    const table = tokenTable(tokenizer);
    const end = tokenizer.decode([tokenizer.eos_id!]);
    assert.deepEqual(table.end_ids, [tokenizer.eos_id]);
    assert.equal(table.encode(`a${end}`, true).at(-1), tokenizer.eos_id);
    assert.ok(!table.encode(`a${end}`, false).includes(tokenizer.eos_id!));
    assert.equal(table.bytesOf(tokenizer.eos_id!).length, 0);
  });
}

test('a byte token is its byte, and a piece of SentencePiece has its space', () => {
  const { vocab } = byte_fallback.tokenizer.model;
  const table = tokenTable(tokenizers['byte fallback']);
  assert.deepEqual([...table.bytesOf(vocab['<0xE2>'])], [0xe2]);
  assert.deepEqual([...table.bytesOf(vocab['▁'])], [0x20]);
});

test('tokenizers of every kind: no text of a stranger becomes a special token', () => {
  interface Shape {
    readonly tokenizer: {
      added_tokens: { id: number; special: boolean; content: string }[];
      model: { unk_token?: string };
    };
  }
  const shapes: Shape[] = fixture('tokenizer-shapes');
  let specials = 0;
  for (const [number, { tokenizer }] of shapes.entries()) {
    const table = tokenTable(tokenizerFromJson(JSON.stringify(tokenizer)));
    // Unknown text becomes the unknown token however it is spelled, and one file calls a single letter special.
    const special = tokenizer.added_tokens.filter(
      (token) => token.special && token.content.length > 1 && token.content !== tokenizer.model.unk_token,
    );
    specials += special.length;
    for (const { id, content } of special) {
      assert.equal(table.bytesOf(id).length, 0, `shape ${number}`);
      assert.ok(!table.encode(`a ${content} b`, false).includes(id), `shape ${number}: ${content}`);
    }
  }
  assert.ok(specials > 10, `${specials} special tokens`);
});

test('rows beyond the tokenizer, and ids that it leaves out, are unused and have no bytes', () => {
  const table = tokenTable({ ...byteTokenizer(), unused_ids: [7] }, 260);
  assert.equal(table.vocab_size, 260);
  assert.deepEqual(table.unused_ids, [7, 257, 258, 259]);
  for (const id of [7, 257, 259, 1000]) assert.equal(table.bytesOf(id).length, 0);
  assert.deepEqual(tokenTable(byteTokenizer(), 100).unused_ids, []);
});

test('a turn ends with any usual end that is special, not with text that looks like one', () => {
  const base = JSON.parse(byteTokenizer().json);
  const added = (id: number, content: string, special: boolean) => ({ ...base.added_tokens[0], id, content, special });
  const added_tokens = [
    added(256, '<|endoftext|>', true),
    added(257, '<|im_end|>', true),
    added(258, '<|eot_id|>', false),
  ];
  const tokenizer = tokenizerFromJson(JSON.stringify({ ...base, added_tokens }));
  assert.deepEqual(tokenTable(tokenizer).end_ids, [256, 257]);
  assert.equal(Buffer.from(tokenTable(tokenizer).bytesOf(258)).toString(), '<|eot_id|>');
});
