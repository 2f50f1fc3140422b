// What a teacher said, kept in a folder: ready for a run, refused where it was changed or is for another student.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { byteTokenizer } from '../../model/tokenizer.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import { storeDataset } from '../../training/dataset.ts';
import { buildTaughtDataset, type TaughtText } from '../../training/taught-dataset.ts';
import { finishTaught, preparedFrom, putInto, readRecord } from './taught-folder.ts';

function* texts(): Generator<TaughtText> {
  for (let i = 0; i < 60; i++) {
    const ids = Array.from({ length: 80 }, (_, j) => (i * 7 + j) % 256);
    yield { ids, rows: ids.map((id) => [[id, -0.1]]) };
  }
}

async function finished(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'potluck-taught-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  assert.equal(await readRecord(dir), null);
  const tokenizer = byteTokenizer();
  const dataset = await buildTaughtDataset(texts(), { tokenizer, top: 20, expected_tokens: 4860, put: putInto(dir) });
  const record = await finishTaught(
    dir,
    { teacher: 'http://t/v1', model: 'm' },
    { ...dataset, spent_tokens: 5000, cut_short: null },
  );
  return { dir, record, tokenizer, dataset };
}

test('a finished folder tells what it holds, and every blob of it reaches the hub', async (t) => {
  const { dir, record, tokenizer, dataset } = await finished(t);
  assert.deepEqual(await readRecord(dir), record);
  assert.deepEqual([record.top, record.spent_tokens, record.texts], [20, 5000, 60]);
  const prepared = await preparedFrom(dir, record, tokenizer);
  assert.deepEqual(prepared.manifest, dataset.manifest);
  const stored = new Set<string>();
  let told = 0;
  await storeDataset(prepared, {
    put: async (bytes) => {
      stored.add(sha256Hex(bytes));
      return sha256Hex(bytes);
    },
    onProgress: (done, total) => {
      told = done;
      assert.equal(total, prepared.shard_bytes);
    },
  });
  assert.equal(told, prepared.shard_bytes);
  const { train, validation, tokenizer: json } = dataset.manifest;
  const expected = [...train.flatMap(({ hash, soft }) => [hash, soft!]), ...validation.map(({ hash }) => hash), json];
  assert.deepEqual([...stored].sort(), [...new Set(expected)].sort());
});

test('changed and missing blobs, another tokenizer and a damaged record are refused', async (t) => {
  const { dir, record, tokenizer, dataset } = await finished(t);
  const [{ soft }] = dataset.manifest.train;
  await assert.rejects(preparedFrom(dir, record, { ...tokenizer, json: '{}' }), {
    code: 'bad-option',
    message: /another tokenizer/,
  });
  await writeFile(join(dir, soft!), 'x');
  const prepared = await preparedFrom(dir, record, tokenizer);
  await assert.rejects(storeDataset(prepared, { put: async (bytes) => sha256Hex(bytes) }), {
    code: 'corrupt-data',
    message: /changed/,
  });
  await rm(join(dir, soft!));
  await assert.rejects(preparedFrom(dir, record, tokenizer), {
    code: 'corrupt-data',
    message: new RegExp(`${soft} is missing`),
  });
  assert.ok((await readdir(dir)).includes('taught.json'));
  for (const text of ['{', '{}', JSON.stringify({ ...record, top: 21 })]) {
    await writeFile(join(dir, 'taught.json'), text);
    await assert.rejects(readRecord(dir), { code: 'corrupt-data', message: /taught.json/ });
  }
});
