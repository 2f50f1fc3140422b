// A device that was late is told so calmly; a refusal that is about something else keeps its own words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lateWords } from './late-words.ts';

test('lateness is told with its round and without blame', () => {
  for (const code of [
    'wrong-round',
    'wrong-model',
    'wrong-stage',
    'wrong-phase',
    'already-submitted',
    'not-a-worker',
  ]) {
    const words = lateWords(code, 7)!;
    assert.match(words, /round 7/);
    assert.doesNotMatch(words, /expected|refused|invalid|fraud|wrong/);
  }
  for (const code of ['unknown-submission', 'not-sealed', 'not-assigned'])
    assert.match(lateWords(code, 1)!, /nothing is held against/);
});

test('other refusals, and what is none, are not taken for lateness', () => {
  for (const code of ['bad-verdict', 'wrong-seal', 'too-many-peers', 'toString', undefined, 3]) {
    assert.equal(lateWords(code, 1), null);
  }
});
