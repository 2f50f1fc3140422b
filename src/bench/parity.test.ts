// Tests of bench parity's parts on a tiny model and a made-up text: that it learns, counts its bytes, and plots them.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { seededRandom } from '../protocol/random.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { windowBatches } from '../training/windows.ts';
import { runBench } from './bench.ts';
import { BenchError } from './errors.ts';
import * as parity from './parity.ts';
import { readCorpus } from './parity-data.ts';
import { plot } from './parity-plot.ts';
import { type Measured, roundLengths, runTrial, TrialSchema } from './parity-trial.ts';

const folder = mkdtempSync(join(tmpdir(), 'parity-'));
const file = join(folder, 'text.txt');
writeFileSync(file, 'the quick brown fox jumps over the lazy dog. '.repeat(200));
test.after(() => rmSync(folder, { recursive: true }));

test('nine tenths of the text are for training, every validation window is measured once', () => {
  const corpus = readCorpus(file);
  assert.equal(corpus.vocab, 28);
  assert.equal(corpus.train.length, 8100);
  assert.equal(corpus.validation.length, 900);
  const batches = windowBatches(corpus.validation, 12, 16);
  assert.equal(
    batches.reduce((sum, { used }) => sum + used, 0),
    Math.floor(899 / 16),
  );
  assert.deepEqual([...batches[0].batch.targets.subarray(0, 15)], [...batches[0].batch.tokens.subarray(1, 16)]);
});

test('four workers that train apart learn, with far fewer bytes than dense differences', async () => {
  const runtime = await createNativeRuntime({ threads: 1 });
  try {
    const corpus = readCorpus(file);
    const common = { model: 'tiny', steps: 240, inner_steps: 12, workers: 2 } as const;
    const dense = await runTrial(runtime, corpus, TrialSchema.parse({ ...common, exchange: 'dense' }));
    const sparse = await runTrial(runtime, corpus, TrialSchema.parse({ ...common, average: 0.5 }));
    const knobs = { momentum: 0.3, retained: 0.5, growth: 1, feedback: 'merged' } as const;
    const tried = await runTrial(runtime, corpus, TrialSchema.parse({ ...common, ...knobs }));
    for (const result of [dense, sparse, tried]) {
      assert.ok(result.validation_loss < 0.95 * Math.log(corpus.vocab), `loss ${result.validation_loss}`);
      assert.equal(result.rounds, 20);
    }
    assert.equal(dense.sent_bytes, dense.dense_bytes);
    // What surrounds an update weighs more, the smaller the model.
    assert.ok(sparse.sent_bytes < sparse.dense_bytes / 50);
    assert.equal(dense.fetched_bytes, dense.dense_bytes);
    assert.ok(sparse.fetched_bytes < sparse.dense_bytes / 30, `${sparse.fetched_bytes} of ${sparse.dense_bytes}`);
    assert.ok(Number.isFinite(sparse.averaged_loss));
    assert.equal(dense.averaged_loss, null);
  } finally {
    await runtime.close();
  }
});

test('rounds that grow are as many, as long in all, and longer as the rate falls', () => {
  const schedule = { total_steps: 2000, warmup_steps: 100, learning_rate: 1e-3, min_learning_rate: 1e-4 };
  const equal = roundLengths(TrialSchema.parse({}), schedule);
  const growing = roundLengths(TrialSchema.parse({ growth: 1 }), schedule);
  const later = roundLengths(TrialSchema.parse({ growth: -1 }), schedule);
  for (const lengths of [equal, growing, later]) {
    assert.equal(lengths.length, 67);
    assert.equal(
      lengths.reduce((a, b) => a + b, 0),
      2000,
    );
  }
  assert.ok(growing[60] > 2 * growing[0]);
  assert.ok(later[60] < 0.5 * later[0]);
});

test('the plot holds every point and both reference lines; random figures never break it', () => {
  const random = seededRandom('plot');
  for (let i = 0; i < 20; i++) {
    const figures = () => ({
      trial: {},
      validation_loss: 1.5 + random.below(1000) / 4000,
      averaged_loss: null,
      rounds: 67,
      sent_bytes: 1 + random.below(2 ** 31),
      fetched_bytes: 1 + random.below(2 ** 31),
      dense_bytes: 2 ** 31,
      curve: [],
      seconds: 1,
    });
    const names = ['one', 'sync', 'dense-30', 'sparse-15', 'sparse-30'];
    const svg = plot(names.map((name): Measured => ({ name, ...figures() })));
    assert.equal(svg.match(/<circle/g)?.length, 3);
    assert.equal(svg.match(/stroke-dasharray="5 4"/g)?.length, 2);
    assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
  }
});

test('a missing text and unknown options are one clear line', async () => {
  const usage = (error: unknown) =>
    error instanceof BenchError && error.code === 'usage' && !error.message.includes('\n');
  await assert.rejects(runBench('parity', parity, ['--data', join(folder, 'none.txt')]), usage);
  await assert.rejects(runBench('parity', parity, ['--data', file, '--only', 'dense-7']), usage);
  await assert.rejects(runBench('parity', parity, ['--data', file, '--try', '{']), usage);
  await assert.rejects(runBench('parity', parity, ['--data', file, '--try', '{"inner_steps":0}']), usage);
  await assert.rejects(runBench('parity', parity, ['--data', file, '--nonsense']), usage);
});
