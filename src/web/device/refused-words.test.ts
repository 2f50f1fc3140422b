// Tests that honest lateness is told calmly, and that what is not lateness keeps the hub's own words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusedWords } from './refused-words.ts';

const of = (code: string) => refusedWords({ round: 20, code, message: 'expected x, got y' });

test('late, replaced or cut-off work is nobody’s fault', () => {
  for (const code of [
    'wrong-round',
    'wrong-model',
    'wrong-phase',
    'already-submitted',
    'not-present',
    'disconnected',
  ]) {
    const { words, calm } = of(code);
    assert.equal(calm, true, code);
    assert.doesNotMatch(words, /expected|refus|got y/, code);
  }
});

test('anything else is said as the hub said it', () => {
  assert.deepEqual(of('too-large'), { words: 'The hub did not take this piece: expected x, got y.', calm: false });
});
