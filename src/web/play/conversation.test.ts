// Conversations: what a model is told, how answers end, and that nothing said is lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askedAgain, heard, isAnswering, NEW_CONVERSATION, over, spoken, toldTo } from './conversation.ts';

const said = over(heard(heard(spoken(NEW_CONVERSATION, 'Hello', 1), 'Good '), 'day'), 'whole');

test('a model is told all turns before its answer, and no empty ones', () => {
  const asked = spoken(said, 'And you?', 2);
  assert.deepEqual(toldTo(asked), [
    { role: 'user', content: 'Hello' },
    { role: 'assistant', content: 'Good day' },
    { role: 'user', content: 'And you?' },
  ]);
  assert.ok(isAnswering(asked));
  const silent = over(asked, 'whole'); // the model had nothing to say
  assert.equal(silent.turns.length, 4);
  assert.deepEqual(
    toldTo(spoken(silent, 'Well?', 3)).map(({ content }) => content),
    ['Hello', 'Good day', 'And you?', 'Well?'],
  );
});

test('an answer is given once more with another seed, in place of the last one, and not while one is given', () => {
  assert.equal(askedAgain(NEW_CONVERSATION, 5), null);
  const again = askedAgain(said, 5)!;
  assert.deepEqual(toldTo(again), [{ role: 'user', content: 'Hello' }]);
  assert.equal(again.turns.at(-1)!.seed, 5);
  assert.equal(askedAgain(again, 6), null);
});

test('what was said of an answer that broke off stays; one without a word goes, and the question can be asked again', () => {
  const broken = over(heard(spoken(said, 'And?', 2), 'Wel'), 'failed', 'no device');
  assert.deepEqual(
    [broken.turns.at(-1)!.content, broken.turns.at(-1)!.state, broken.problem],
    ['Wel', 'failed', 'no device'],
  );
  const nothing = over(spoken(said, 'And?', 2), 'stopped');
  assert.equal(nothing.turns.at(-1)!.content, 'And?');
  assert.deepEqual(toldTo(askedAgain(nothing, 3)!).at(-1), { role: 'user', content: 'And?' });
});

test('words that come after the end change nothing', () => {
  assert.deepEqual(heard(said, 'late'), said);
});
