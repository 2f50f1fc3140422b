// The own engine: sequences apart from each other, rewound, scored, aborted and refused as the interface says.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { LlamaConfigSchema } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Engine } from './engine.ts';
import { openOwnEngine } from './engine-own.ts';

const config = LlamaConfigSchema.parse({
  vocab_size: 260,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
});
const weights = initialWeights(config, 1);
const model = { config, weights, tokenizer: byteTokenizer(), hash: '0'.repeat(64) };
const runtime = await createNativeRuntime({ threads: 1 });
after(() => runtime.close());
const open = (cache_tokens?: number): Promise<Engine> => openOwnEngine(runtime, model, { cache_tokens });

const greatest = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

function assertNear(actual: Float32Array, expected: Float32Array): void {
  assert.equal(actual.length, expected.length);
  const apart = greatest(actual.map((value, i) => value - expected[i]));
  assert.ok(apart <= 1e-5 * Math.max(1, greatest(expected)), `${apart} apart`);
}

test('what it says about itself', async () => {
  const engine = await open();
  assert.equal(engine.name, 'own');
  assert.match(engine.class, /native-cpu/);
  assert.equal(engine.model.hash, model.hash);
  assert.equal(engine.model.context_tokens, 64);
  assert.deepEqual(engine.model.tokens.unused_ids, [257, 258, 259]);
  await engine.close();
});

test('sequences do not see each other, also when they append at the same time', async () => {
  const engine = await open(128);
  const [a, b] = [await engine.openSequence(), await engine.openSequence(20)];
  const alone = await a.append([1, 2, 3]);
  a.rewind(0);
  const [again, other] = await Promise.all([a.append([1, 2, 3]), b.append([7, 8])]);
  assertNear(again, alone);
  assert.ok(greatest(other.map((value, i) => value - alone[i])) > 0.01);
  assert.deepEqual([a.length, b.length], [3, 2]);
  await engine.close();
});

test('a score is the logits of every position; calls on one sequence wait for each other', async () => {
  const engine = await open(128);
  const [a, b] = [await engine.openSequence(), await engine.openSequence()];
  const [first, scored, last] = await Promise.all([a.append([5]), a.score([6, 7, 8]), a.append([9])]);
  assert.equal(scored.length, 3 * 260);
  assertNear(await b.append([5]), first);
  for (const [i, id] of [6, 7, 8].entries()) assertNear(scored.slice(i * 260, (i + 1) * 260), await b.append([id]));
  assertNear(last, await b.append([9]));
  await engine.close();
});

test('a rewound sequence goes on as if the rest had never been', async () => {
  const engine = await open();
  const sequence = await engine.openSequence();
  await sequence.append([1, 2, 3, 4]);
  const expected = await sequence.append([5]);
  await sequence.append([6, 7]);
  sequence.rewind(4);
  assertNear(await sequence.append([5]), expected);
  for (const length of [-1, 0.5, 6, Number.NaN]) assert.throws(() => sequence.rewind(length), { code: 'bad-input' });
  assert.equal(sequence.length, 5);
  await engine.close();
});

test('an aborted call throws the reason and leaves the sequence as it was', async () => {
  const engine = await open();
  const sequence = await engine.openSequence();
  await sequence.append([1]);
  const reason = new Error('enough');
  await assert.rejects(sequence.append([2], AbortSignal.abort(reason)), reason);
  const stop = new AbortController();
  const scored = sequence.score([2, 3, 4, 5, 6], stop.signal);
  stop.abort(reason);
  await assert.rejects(scored, reason);
  assert.equal(sequence.length, 1);
  await sequence.append([2]);
  assert.equal(sequence.length, 2);
  await engine.close();
});

test('an embedding is the mean hidden state, of unit length, and takes no place for long', async () => {
  const engine = await open();
  const tokens = Array.from({ length: 64 }, (_, i) => (i * 37) % 257);
  const vector = await engine.embed!(tokens);
  assert.equal(vector.length, 32);
  assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-6);
  const [one, other] = [await engine.embed!([5]), await engine.embed!([6])];
  const apart = Math.hypot(...one.map((value, i) => value - other[i]));
  assert.ok(apart > 0.1, `${apart}`);
  assert.equal(engine.free_tokens, 64);
  await assert.rejects(engine.embed!([]), { code: 'bad-input' });
  await assert.rejects(engine.embed!([...tokens, 1]), { code: 'bad-input' });
  await assert.rejects(engine.embed!(tokens, AbortSignal.abort(new Error('enough'))), /enough/);
  assert.equal(engine.free_tokens, 64);
  await engine.close();
});

test('in 8 bits it is nearly the same model, and says what it is', async () => {
  const [exact, narrow] = [await open(), await openOwnEngine(runtime, model, { quantisation: 'q8_0' })];
  assert.equal(narrow.model.quantisation, 'q8_0');
  assert.notEqual(narrow.class, exact.class);
  const [expected, actual] = await Promise.all(
    [exact, narrow].map(async (engine) => (await engine.openSequence()).append([1, 2, 3, 4])),
  );
  const apart = Math.hypot(...actual.map((value, i) => value - expected[i])) / Math.hypot(...expected);
  assert.ok(apart > 0 && apart < 0.03, `${apart}`);
  await Promise.all([exact.close(), narrow.close()]);
});

test('places are counted, given back, and refused where there are none', async () => {
  const engine = await open(100);
  const a = await engine.openSequence();
  assert.equal(engine.free_tokens, 36);
  await assert.rejects(engine.openSequence(), { name: 'ServingError', code: 'no-room' });
  const b = await engine.openSequence(36);
  assert.equal(engine.free_tokens, 0);
  await Promise.all([a.close(), a.close()]);
  assert.equal(engine.free_tokens, 64);
  await assert.rejects(a.append([1]), { code: 'bad-input' });
  await engine.close();
  await assert.rejects(b.append([1]), { code: 'bad-input' });
  await assert.rejects(engine.openSequence(), { code: 'engine-ended' });
});

test('what is out of range is refused, and the sequence goes on', async () => {
  const engine = await open();
  for (const capacity of [0, 65, 1.5, Number.NaN]) {
    await assert.rejects(engine.openSequence(capacity), { code: 'bad-input' });
  }
  const sequence = await engine.openSequence(4);
  for (const tokens of [[], [260], [-1], [0.5], [1, 2, 3, 4, 5]]) {
    await assert.rejects(sequence.append(tokens), { code: 'bad-input' });
    await assert.rejects(sequence.score(tokens), { code: 'bad-input' });
  }
  await sequence.append([1, 2, 3, 4]);
  assert.equal(sequence.length, 4);
  await engine.close();
  for (const cache_tokens of [0, 0.5, -1]) await assert.rejects(open(cache_tokens), { code: 'bad-input' });
});
