// A beginning that the model reads otherwise than it was written, or not at all, is told and not passed over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteTokenizer, type Tokenizer } from '../../model/tokenizer.ts';
import { readAs, unreadable } from './read-as.ts';

/** Knows capital letters only, and has no token that begins a text. */
const capitals: Tokenizer = {
  ...byteTokenizer(),
  bos_id: null,
  encode: (text) => [...text].filter((letter) => /[A-Z]/.test(letter)).map((letter) => letter.charCodeAt(0)),
};

test('bytes read everything, also nothing: the model has a token that begins a text', () => {
  for (const prompt of ['', 'The ', 'ROMÉO: 你好 🫕\n']) {
    assert.equal(readAs(prompt, byteTokenizer()), null);
    assert.equal(unreadable(prompt, byteTokenizer()), null);
  }
});

test('a tokenizer that leaves characters out: what it reads is shown', () => {
  assert.equal(readAs('ROMEO', capitals), null);
  assert.equal(readAs('RoMeO', capitals), 'RMO');
  assert.equal(unreadable('RoMeO', capitals), null);
  assert.match(readAs('Ab'.repeat(500), capitals)!, /^… A{120}$/);
});

test('nothing to begin from, and only characters that it does not know, are refused in a sentence', () => {
  assert.match(unreadable('', capitals)!, /cannot begin from nothing/);
  assert.match(unreadable('☃☃', capitals)!, /knows none of these characters/);
});
