// Play's memory: a text stays with the prompt and settings that it came from, and every failure ends in a sentence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GenerateProgress } from '../../model/generate.ts';
import type { LoadedModel } from './play-messages.ts';
import {
  afterMessage,
  asked,
  dropped,
  NEW_SESSION,
  newestTexts,
  orderOf,
  ordersOf,
  type PlaySession,
  sentencesOf,
} from './session.ts';

const model: LoadedModel = {
  hash: 'a'.repeat(64),
  merged_rounds: 3,
  parameters: 1000,
  layers: 1,
  context: 64,
  threads: 1,
  kept: true,
};
const progress = (written_tokens: number, more: Partial<GenerateProgress> = {}): GenerateProgress => ({
  prompt_tokens: 5,
  read_tokens: 5,
  written_tokens,
  end_of_text: false,
  ...more,
});

const ask = (session: PlaySession) => asked(session, orderOf(session));
const begun = (session: PlaySession) => afterMessage(session, { kind: 'begun', model, read_as: null });
const piece = (session: PlaySession, text: string) =>
  afterMessage(session, { kind: 'piece', text, progress: progress(1) });
const done = (session: PlaySession, stopped = false) =>
  afterMessage(session, { kind: 'done', progress: progress(10), seconds: 2, stopped });

test('a text keeps the prompt that it was written from, whatever is typed after it', () => {
  const written = done(piece(begun(ask(NEW_SESSION)), 'cat'));
  const typed = { ...written, prompt: 'ROMEO: ', temperature: 1.2, length: 60 };
  assert.equal(typed.texts[0].order.prompt, 'The ');
  assert.equal(typed.texts[0].order.temperature, 0.7);
  assert.equal(typed.texts[0].text, 'cat');
  assert.equal(typed.tokens_per_second, 5);
});

test('another text forgets none, and has another seed; the seed that somebody has set is used once', () => {
  let session = done(piece(begun(ask(NEW_SESSION)), 'cat'));
  session = done(piece(begun(ask({ ...session, seed: 40 })), 'dog'));
  assert.deepEqual(
    session.texts.map(({ number, text, order }) => [number, text, order.seed]),
    [
      [2, 'dog', 40],
      [1, 'cat', 1],
    ],
  );
  assert.equal(session.seed, 41);
  // The same text again with a newer model leaves the seed of the next one alone.
  assert.equal(asked(session, session.texts[1].order).seed, 41);
  for (let i = 0; i < 40; i++) session = done(piece(begun(ask(session)), 'more'));
  assert.equal(session.texts.length, 20);
  assert.equal(session.texts[0].number, 42);
});

test('a text without a word is not remembered when it fails, one with some is, as broken off', () => {
  const empty = afterMessage(begun(ask(NEW_SESSION)), { kind: 'failed', message: 'No memory.' });
  assert.deepEqual([empty.texts.length, empty.phase, empty.problem], [0, 'ready', 'No memory.']);
  const some = afterMessage(piece(begun(ask(NEW_SESSION)), 'cat'), { kind: 'failed', message: 'No memory.' });
  assert.deepEqual([some.texts[0].text, some.texts[0].state], ['cat', 'failed']);
  assert.deepEqual(sentencesOf(some.texts[0]), ['It broke off after 1 token.']);
});

test('a Worker that goes takes the model with it, and leaves what was written', () => {
  const gone = dropped(piece(begun(ask(NEW_SESSION)), 'cat'), 'It crashed.');
  assert.deepEqual(
    [gone.phase, gone.model, gone.problem, gone.texts[0].state],
    ['asleep', null, 'It crashed.', 'failed'],
  );
  const waiting = dropped(ask(NEW_SESSION));
  assert.deepEqual([waiting.phase, waiting.problem, waiting.texts], ['asleep', '', []]);
  const idle = dropped(done(piece(begun(ask(NEW_SESSION)), 'cat')));
  assert.equal(idle.texts[0].state, 'written');
});

test('what is said of a text is what was counted', () => {
  const [text] = done(piece(begun(ask(NEW_SESSION)), 'cat')).texts;
  assert.deepEqual(sentencesOf(text), ['10 tokens.']);
  assert.deepEqual(sentencesOf({ ...text, progress: null }), []);
  assert.deepEqual(sentencesOf({ ...text, state: 'stopped', progress: progress(1) }), ['Stopped after 1 token.']);
  assert.deepEqual(sentencesOf({ ...text, progress: progress(0, { end_of_text: true }) }), [
    'The model ended the text itself after 0 tokens.',
  ]);
  assert.match(
    sentencesOf({ ...text, progress: progress(10, { prompt_tokens: 122, read_tokens: 64 }) })[1],
    /sees 64 tokens at once, so it read only the last 64 of your 122 tokens/,
  );
  assert.match(sentencesOf({ ...text, read_as: 'ROMO' })[1], /it read “ROMO”/);
});

test('two writers get the same order, and their texts stand beside each other; a second one alone, or nobody, is one text', () => {
  const both = { ...NEW_SESSION, writer: '', beside: 'pilot' };
  const [here, pool] = ordersOf(both);
  assert.deepEqual([here.writer, pool], ['', { ...here, writer: 'pilot' }]);
  assert.equal(ordersOf({ ...both, beside: '' }).length, 1);
  assert.equal(ordersOf(NEW_SESSION).length, 1);
  const first = done(piece(begun(asked(both, here)), 'cat'));
  let session = asked(first, pool, true);
  assert.equal(session.loading, 'an answer of pilot');
  session = afterMessage(session, { kind: 'pool-begun' });
  session = done(piece(session, 'dog'));
  assert.deepEqual(
    newestTexts(session).map(({ text, order, model: by }) => [text, order.writer, by === model]),
    [
      ['cat', '', true],
      ['dog', 'pilot', false],
    ],
  );
  // The pool's speed is not this browser's, and its model is not the one that is loaded here.
  assert.deepEqual([session.tokens_per_second, session.model], [5, model]);
  assert.equal(newestTexts(ask(session)).length, 1);
});
