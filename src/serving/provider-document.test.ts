// The document for marketplaces: exact prices, whatever their size, and uptime over the last hundred answers alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { creditsPerToken, ProviderDocumentSchema, providerDocument, type ServedModel } from './provider-document.ts';

const MODEL: ServedModel = {
  ...{ id: 'demo', name: 'The demo', created_s: 1_790_000_000, quantisation: 'q8_0', context_tokens: 2048 },
  ...{ answer_tokens: 65_536, price: { input_micro: 400_000, output_micro: 3_200_000 } },
  ...{ sampling_parameters: ['temperature', 'seed'], features: ['json_mode'], devices: 1, answers: [], energy: null },
};
const one = (more: Partial<ServedModel> = {}) => providerDocument([{ ...MODEL, ...more }]).data[0];

test('prices are texts in credits a token', () => {
  assert.deepEqual(one().pricing, { prompt: '0.0000004', completion: '0.0000032', request: '0', image: '0' });
  const texts = [0, 1, 10, 10 ** 12, 15 * 10 ** 11].map(creditsPerToken);
  assert.deepEqual(texts, ['0', '0.000000000001', '0.00000000001', '1', '1.5']);
  fc.assert(
    fc.property(fc.nat(Number.MAX_SAFE_INTEGER), (micro) => {
      const [whole, decimals = ''] = creditsPerToken(micro).split('.');
      assert.equal(BigInt(whole + decimals.padEnd(12, '0')), BigInt(micro));
      assert.ok(
        ProviderDocumentSchema.shape.data.element.shape.pricing.shape.prompt.safeParse(creditsPerToken(micro)).success,
      );
    }),
  );
});

test('a model says how its weights are kept, how long it answers, and whether somebody serves it', () => {
  const words = ['f32', 'f16', 'BF16', 'q8_0', 'Q4_0', 'q5_k'].map(
    (quantisation) => one({ quantisation }).quantization,
  );
  assert.deepEqual(words, ['fp32', 'fp16', 'bf16', 'int8', 'int4', 'unknown']);
  assert.deepEqual([one().context_length, one().max_output_length], [2048, 2048]);
  assert.equal(one({ answer_tokens: 100 }).max_output_length, 100);
  assert.deepEqual([one().is_ready, one({ devices: 0 }).is_ready], [true, false]);
});

test('uptime counts the last hundred answers, and nothing before them', () => {
  assert.deepEqual(one().uptime, { answers: 0, whole: 0 });
  assert.deepEqual(one({ answers: [true, false, true] }).uptime, { answers: 3, whole: 2 });
  const long = [...Array.from({ length: 50 }, () => false), ...Array.from({ length: 99 }, () => true), false];
  assert.deepEqual(one({ answers: long }).uptime, { answers: 100, whole: 99 });
});

test('models stand in order, and what has no right form is no document', () => {
  const ids = providerDocument([{ ...MODEL, id: 'b' }, { ...MODEL, id: 'a' }]).data.map(({ id }) => id); // biome-ignore format: one line
  assert.deepEqual(ids, ['a', 'b']);
  assert.throws(() => one({ context_tokens: 0 }));
  assert.throws(() => one({ id: '' }));
  assert.throws(() => one({ price: { input_micro: 0.5, output_micro: 1 } }));
});
