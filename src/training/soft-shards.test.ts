// A teacher's word beside the shards: it comes back as it was said, belongs to its own token, and blobs that lie are refused.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { LlamaConfigSchema } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { assignedBatches, batchFrom } from './assignment.ts';
import type { Batch } from './inner.ts';
import { decodeManifest, decodeShard, encodeManifest } from './shards.ts';
import { decodeSoftRows, encodeSoftRows, type Likely, softBatch } from './soft-shards.ts';
import { buildTaughtDataset, type TaughtText } from './taught-dataset.ts';
import { createTrainer } from './trainer.ts';

const runtime = await createNativeRuntime({ threads: 1 });
after(() => runtime.close());

const rowsOf = (top: number) =>
  fc.array(
    fc.uniqueArray(fc.integer({ min: 0, max: 299 }), { maxLength: top }).chain((ids) =>
      fc
        .array(fc.double({ min: 1e-6, max: 1, noNaN: true }), { minLength: ids.length, maxLength: ids.length })
        .map((odds): Likely[] => {
          const sum = odds.reduce((a, b) => a + b, 0.01);
          return ids.map((id, i) => [id, Math.log(odds[i] / sum)]);
        }),
    ),
    { minLength: 2, maxLength: 30 },
  );

test('rows come back with their likeliest tokens first, to half a thousandth of a nat', () => {
  fc.assert(
    fc.property(rowsOf(6), fc.integer({ min: 1, max: 6 }), (rows, top) => {
      const form = { vocab_size: 300, token_bytes: 2 as const, top, tokens: rows.length };
      const { ids, codes } = decodeSoftRows(encodeSoftRows(rows, top, 2), form);
      for (const [row, said] of rows.entries()) {
        const kept = said.toSorted((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, top);
        for (const [i, [id, logprob]] of kept.entries()) {
          assert.equal(ids[row * top + i], id);
          assert.ok(Math.abs(-codes[row * top + i] / 2048 - logprob) <= 0.5 / 2048 + 1e-12);
        }
        for (let i = kept.length; i < top; i++) assert.equal(codes[row * top + i], 65_535);
      }
    }),
  );
});

test('blobs of another length, header or count, with foreign tokens, gaps or too much probability, are refused', () => {
  const rows: Likely[][] = [
    [
      [1, -0.1],
      [2, -3],
    ],
    [],
    [[299, -1e9]],
  ];
  const form = { vocab_size: 300, token_bytes: 2 as const, top: 2, tokens: 3 };
  const good = encodeSoftRows(rows, 2, 2);
  assert.deepEqual([...decodeSoftRows(good, form).ids], [1, 2, 0, 0, 299, 0]);
  const refused = (change: (bytes: Uint8Array) => Uint8Array | undefined, says: RegExp, of = form) => {
    const bytes = good.slice();
    const changed = change(bytes) ?? bytes;
    assert.throws(() => decodeSoftRows(changed, of), { name: 'DataError', code: 'corrupt-data', message: says });
  };
  const set = (at: number, value: number) => (bytes: Uint8Array) => bytes.fill(value, at, at + 1);
  refused((bytes) => bytes.subarray(0, -1), /expected 3 rows/);
  refused((bytes) => bytes.subarray(0, 4), /expected 3 rows/);
  for (const at of [0, 4, 5, 6, 7, 8, 12]) refused(set(at, 9), /expected 3 rows/);
  refused(() => undefined, /expected 4 rows/, { ...form, tokens: 4 });
  refused(() => undefined, /expected 3 rows of 3/, { ...form, top: 3 });
  refused(() => undefined, /token 299 in row 2, the vocabulary has 299/, { ...form, vocab_size: 299 });
  const codesAt = 16 + 6 * 2;
  refused((bytes) => bytes.fill(0, codesAt + 6, codesAt + 8), /row 1 has a token behind its last/);
  refused((bytes) => bytes.fill(0, codesAt, codesAt + 4), /row 0 sum to 2/);
});

/** Texts of counting bytes, whose teacher is certain by a half of the right one. */
function* texts(count: number): Generator<TaughtText> {
  for (let text = 0; text < count; text++) {
    const ids = Array.from({ length: 97 }, (_, i) => (text * 31 + i) % 200);
    const rows = ids.map((id): Likely[] => [
      [id, Math.log(0.6)],
      [(id + 7) % 200, Math.log(0.3)],
    ]);
    yield { ids, rows };
  }
}

async function dataset(count = 250) {
  const blobs = new Map<string, Uint8Array>();
  const put = async (bytes: Uint8Array) => {
    blobs.set(sha256Hex(bytes), bytes);
    return sha256Hex(bytes);
  };
  const built = await buildTaughtDataset(texts(count), {
    tokenizer: byteTokenizer(),
    top: 3,
    expected_tokens: count * 98,
    put,
  });
  return { ...built, blobs };
}

test('a taught dataset has every text once, the word of the teacher beside each shard to learn from, and a twentieth held out', async () => {
  const { manifest, blobs, train_tokens, validation_tokens, texts: count } = await dataset();
  assert.equal(count, 250);
  assert.ok(train_tokens + validation_tokens >= 250 * 98 - 1);
  assert.ok(validation_tokens > 0 && validation_tokens < 0.12 * train_tokens);
  assert.deepEqual(decodeManifest(encodeManifest(manifest)), manifest);
  for (const { hash, soft, tokens } of manifest.train) {
    const ids = decodeShard(blobs.get(hash)!, manifest);
    const rows = decodeSoftRows(blobs.get(soft!)!, { ...manifest, top: 3, tokens });
    ids.forEach((id, i) => {
      // The end of a text is what the teacher has not said.
      if (id === 256) assert.equal(rows.codes[3 * i], 65_535);
      else assert.deepEqual([...rows.ids.subarray(3 * i, 3 * i + 2)], [id, (id + 7) % 200]);
    });
  }
  assert.ok(manifest.validation.every((entry) => !('soft' in entry)));
  assert.throws(
    () => encodeManifest({ ...manifest, train: manifest.train.with(0, { ...manifest.train[0], soft: undefined }) }),
    {
      code: 'corrupt-data',
      message: /some shards have soft targets/,
    },
  );
  await assert.rejects(dataset(2), { code: 'no-text', message: /too few/ });
});

test('each target of a batch gets what the teacher says of it; a part of the weight is the target itself', async () => {
  const { manifest, blobs } = await dataset();
  const shardOf = async (hash: string) => decodeShard(blobs.get(hash)!, manifest);
  const options = { seed: 's', worker: 'w', context: 12, shards_per_round: 2, batch: 5 };
  const plain = assignedBatches(manifest, options, shardOf);
  const taught = assignedBatches(manifest, options, shardOf, {
    weight: 0.75,
    rowsOf: async ({ soft, tokens }) => decodeSoftRows(blobs.get(soft!)!, { ...manifest, top: 3, tokens }),
  });
  for (const step of [0, 1, 2]) {
    const { soft, ...batch } = await taught(step);
    assert.deepEqual(batch, await plain(step));
    for (const [i, target] of batch.targets.entries()) {
      const [ids, weights] = [[...soft!.ids.subarray(4 * i, 4 * i + 4)], [...soft!.weights.subarray(4 * i, 4 * i + 4)]];
      const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-3, `${weights}`);
      assert.equal(ids[0], target);
      if (target === 256) {
        assert.deepEqual(weights, [1, 0, 0, 0]);
        continue;
      }
      assert.deepEqual(ids.slice(1, 3), [target, (target + 7) % 200]);
      near(weights[0], 0.25);
      near(weights[1], 0.5);
      near(weights[2], 0.25);
      near(
        weights.reduce((a, b) => a + b),
        1,
      );
    }
  }
});

test('a student learns the distribution and not only its likeliest token, alike on one thread and on three', async () => {
  const config = LlamaConfigSchema.parse({
    ...{ vocab_size: 12, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 1, num_attention_heads: 2 },
  });
  const shape = { batch: 6, context: 8 };
  const adamw = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0, clip: 1 };
  const tokens = Uint16Array.from({ length: 100 }, (_, i) => i % 12);
  // Whatever the text says, the teacher thinks that the next token is 3 with 0.7 and 5 with 0.3.
  const said = Array.from({ length: 100 }, (): Likely[] => [
    [3, Math.log(0.7)],
    [5, Math.log(0.3)],
  ]);
  const soft = decodeSoftRows(encodeSoftRows(said, 2, 2), { vocab_size: 12, token_bytes: 2, top: 2, tokens: 100 });
  const windows = Array.from({ length: shape.batch }, (_, i) => ({ tokens, soft, offset: 7 * i }));
  const batch: Batch = { ...batchFrom(windows, shape.context), soft: softBatch(windows, shape.context, 1) };
  const losses: number[] = [];
  for (const threads of [1, 3]) {
    const on = await createNativeRuntime({ threads });
    const trainer = await createTrainer(on, config, { ...shape, adamw, soft_tokens: 3 });
    await trainer.setWeights(initialWeights(config, 1));
    for (let step = 0; step < 150; step++) await trainer.step(batch, 0.02);
    // The loss of targets 3 and 5 is the entropy's part of each.
    for (const target of [3, 5]) {
      const { loss } = await trainer.step({ ...batch, targets: batch.targets.map(() => target) }, 0);
      losses.push(loss);
    }
    await on.close();
  }
  for (const [i, loss] of losses.entries()) {
    const expected = -Math.log(i % 2 === 0 ? 0.7 : 0.3);
    assert.ok(Math.abs(loss - expected) < 0.02, `${losses}`);
  }
});

test('a trainer of soft targets refuses batches without them, of another size, and with foreign tokens', async () => {
  const config = LlamaConfigSchema.parse({
    ...{ vocab_size: 12, hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 2 },
  });
  const adamw = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0, clip: 1 };
  const trainer = await createTrainer(runtime, config, { batch: 1, context: 2, adamw, soft_tokens: 2 });
  await trainer.setWeights(initialWeights(config, 1));
  const hard = { tokens: Int32Array.of(1, 2), targets: Int32Array.of(2, 3) };
  const ids = Int32Array.of(2, 0, 3, 0);
  const weights = Float32Array.of(1, 0, 1, 0);
  const refuses = (soft: Batch['soft'], code: string) => assert.rejects(trainer.step({ ...hard, soft }, 0), { code });
  await refuses(undefined, 'bad-length');
  await refuses({ ids: ids.slice(1), weights }, 'bad-length');
  await refuses({ ids, weights: weights.slice(1) }, 'bad-length');
  await refuses({ ids: ids.with(1, 12), weights }, 'bad-argument');
  await trainer.step({ ...hard, soft: { ids, weights } }, 0);
  await trainer.close();
});
