// What a model writes for people: it follows from the model, goes on beyond its context, and stops when it is told to.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { initialWeights } from '../../model/init.ts';
import { byteTokenizer } from '../../model/tokenizer.ts';
import { game } from '../pretrain.ts';
import { type PretrainExample, pretrainExample } from '../testing/example-pretrain.ts';

let example: PretrainExample;
before(async () => {
  example = await pretrainExample();
});
after(() => example.runtime.close());

const never = new AbortController().signal;
const write = (weights = example.weights, signal = never) =>
  game.sample!(example.params, weights, example.device(), signal);

test('it begins with held-out text and goes on for many contexts; the same model writes the same', async () => {
  const first = (await write())!;
  const { context } = example.params;
  assert.ok(first.prompt.length > 0 && first.prompt.length < context);
  // A model that has learned nothing writes bytes that are no text; but it writes them all.
  const written = byteTokenizer().encode(first.text).length;
  assert.ok(written > 3 * context, `${written} bytes`);
  assert.deepEqual(await write(), first);
  const other = (await write(initialWeights(example.params.model, 'other')))!;
  assert.equal(other.prompt, first.prompt);
  assert.notEqual(other.text, first.text);
});

test('told to stop, it returns what it has', async () => {
  const stop = new AbortController();
  stop.abort();
  assert.deepEqual(await write(example.weights, stop.signal), { prompt: (await write())!.prompt, text: '' });
});

test('a model that would take long to load writes nothing', async () => {
  const large = { ...example.params, model: { ...example.params.model, hidden_size: 8192, vocab_size: 8192 } };
  assert.equal(await game.sample!(large, new Map(), example.device(), never), null);
});
