// A run in stages on a hub: how it is created, and how its model is taken home.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StagesOfRun } from '../src/audit/held-stages.ts';
import type { WeighedStages } from '../src/cli/held-stages.ts';
import type { Device, TensorSource } from '../src/games/game.ts';
import { catchUp } from '../src/games/history.ts';
import { memoryDrawer } from '../src/games/memory-drawer.ts';
import { decodeParams } from '../src/games/params.ts';
import type { PipelineParams } from '../src/games/pipeline/params.ts';
import { game as pipeline } from '../src/games/pipeline.ts';
import { game as pretrain } from '../src/games/pretrain.ts';
import { importModel } from '../src/model/checkpoint-folder.ts';
import { byteTokenizer } from '../src/model/tokenizer.ts';
import { createRun } from '../src/owner/owner.ts';
import { checkFolder } from '../src/owner/ownership-shares.ts';
import { trainingFor } from '../src/owner/run-settings.ts';
import { openRun } from '../src/owner/taken-model.ts';
import { createIdentity } from '../src/protocol/identity.ts';
import { GIVES_BACK } from '../src/serving/freed-memory.ts';
import { createNativeRuntime } from '../src/tensor/native-runtime.ts';
import { hubHere } from './hub-here.ts';
import { network, TEXT, type Told, untilStatus } from './network.ts';

/** Of a run whose model is there already. */
const GOES_ON = '--context 16 --batch 4 --open'.split(' ');

const errorOf = async (told: Told) => {
  assert.equal(await told.ended, 1, told.stdout());
  return told.lines.at(-1)!.error as { readonly code: string; readonly message: string };
};

test('a run in stages has the first model of the whole one, stored whole, and is taken home as the Llama model that it is', async (t) => {
  const net = network(t);
  const { url, potluck: hub } = await net.hub();
  if (process.platform === 'linux') {
    const environment = readFileSync(`/proc/${hub.process.pid}/environ`, 'latin1').split('\0');
    assert.ok(environment.includes(`MALLOC_MMAP_THRESHOLD_=${GIVES_BACK.MALLOC_MMAP_THRESHOLD_}`));
  }
  const whole = await net.createRun(url);
  const cut = await net.createRun(url, '--stages', '3', '--micro-batches', '2', '--apart-rounds', '7');
  const cache = join(net.folder, 'cache');
  const [{ view: one }, { view, blobs }] = [await openRun(url, whole, cache), await openRun(url, cut, cache)];
  assert.equal(view.game, 'pipeline');
  assert.equal(view.model, one.model, 'the same tensors under the same names');
  assert.equal(view.checkpoint.model, view.model);

  const shares = net.ask('shares', cut, '--hub', url, '--json');
  assert.equal(await shares.ended, 0, shares.stderr());
  const { stages } = shares.lines.at(-1)! as { readonly stages: StagesOfRun };
  assert.deepEqual([stages.stages, stages.apart_rounds, stages.accounts], [3, 7, []]);

  const folder = join(net.folder, 'model');
  const exported = net.ask('export', cut, folder, '--hub', url, '--json', '--format', 'gguf');
  assert.equal(await exported.ended, 0, exported.stderr());
  assert.equal((await checkFolder(folder)).shares?.model, view.model);

  // What the stages say of held-out text, one after the other, is what the exported model says.
  const params = (await decodeParams(pipeline, await blobs.fetch(view.params))) as PipelineParams;
  const { state } = await catchUp(pipeline, params, view, null, blobs.fetch);
  const runtime = await createNativeRuntime({ threads: 1 });
  t.after(() => runtime.close());
  const device: Device = {
    ...{ runtime, fetchBlob: blobs.fetch, drawer: memoryDrawer(), progress: async () => {} },
  };
  const inStages = await pipeline.evaluate(params, state as TensorSource, device);
  const { weights } = await importModel(folder);
  const atHome = await pretrain.evaluate({ ...params, distil: null }, weights, device);
  assert.ok(Math.abs(inStages.loss_micro - atHome.loss_micro) <= 5, JSON.stringify({ inStages, atHome }));
});

test('a run in stages learns; anybody can repeat its merges, verify what is taken home, and go on from it, whole or in other stages', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const run = await net.createRun(url, '--stages', '2', '--rounds', '2', '--steps', '4', '--round-seconds', '20');
  const [ada, bob] = ['ada', 'bob'].map((name) => net.joinTogether(url, name));
  net.joinTogether(url, 'vera', '--role', 'validator');
  const { metrics } = await untilStatus(url, run, (status) => status.evaluated_rounds === 2);
  assert.ok(metrics[0].last! < metrics[0].first!, JSON.stringify(metrics));

  const audited = net.ask('audit', url, '--json');
  assert.equal(await audited.ended, 0, audited.stdout());
  const { models, unchecked } = await audited.line((line) => line.type === 'audit');
  assert.equal((models as { readonly recomputed: number }).recomputed, 2);
  assert.deepEqual(unchecked, []);

  for (const worker of [ada, bob]) {
    const { submission } = await worker.line((line) => line.type === 'accepted' && line.round === 1);
    const again = net.ask('recheck', String(submission), '--hub', url, '--json');
    // What stages handed to each other is in no log.
    assert.equal((await errorOf(again)).code, 'not-in-the-log');
  }

  const counted = net.ask('shares', run, '--hub', url, '--json');
  assert.equal(await counted.ended, 0, counted.stderr());
  const { stages } = counted.lines.at(-1)! as { readonly stages: WeighedStages };
  // Both devices are bound to one owner here.
  const seen = stages.accounts.map(({ devices, held, weights_permille }) => [
    [...devices].sort(),
    held,
    weights_permille,
  ]);
  assert.deepEqual(seen, [[['ada', 'bob'], [0, 1], 1000]]);
  const told = net.ask('shares', run, '--hub', url);
  assert.equal(await told.ended, 0, told.stderr());
  assert.match(
    told.stdout(),
    /2 stages\. Any account may be given all of them\. What each has held in the last 100 rounds:/,
  );
  assert.match(told.stdout(), /(ada, bob|bob, ada): has held 2 of 2 stages \(100 % of the model's weights\)/);

  const folder = join(net.folder, 'learned');
  const exported = net.ask('export', run, folder, '--hub', url, '--json');
  assert.equal(await exported.ended, 0, exported.stdout());
  const { shares, stated } = await checkFolder(folder);
  assert.deepEqual([shares?.merged_rounds, stated], [2, true]);

  for (const cut of [[], ['--stages', '3']]) {
    const text = join(net.folder, 'text.txt');
    const again = net.ask(
      'run',
      'create',
      '--hub',
      url,
      '--from-run',
      run,
      '--data',
      text,
      '--json',
      ...cut,
      ...GOES_ON,
    );
    const { run: next } = await again.line((line) => line.type === 'created');
    assert.equal((await openRun(url, String(next), join(net.folder, 'cache'))).view.model, shares?.model);
  }
});

test('a model with a bottleneck between its stages is nobody’s to export, serve or go on from, and all are told why', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const { training, schedule } = trainingFor({
    ...{ rounds: 3, round_seconds: 5, steps: 2, batch: 2, context: 8, learning_rate: 0.01, min_workers: 2, stages: 2 },
  });
  const run = await createRun(url, createIdentity(), join(net.folder, 'cache'), {
    ...{ name: 'narrow', texts: [TEXT], tokenizer: byteTokenizer(), seed: 's', schedule },
    model: { hidden_size: 16, intermediate_size: 32, num_hidden_layers: 2, num_attention_heads: 2 },
    training: { ...training, boundary: { width: 4 } },
  });
  for (const words of [
    ['export', run, join(net.folder, 'model'), '--hub', url],
    ['run', 'create', '--from-run', run, '--hub', url, '--data', 'none.txt'],
  ]) {
    const { code, message } = await errorOf(net.ask(...words, '--json'));
    assert.equal(code, 'unsupported');
    assert.match(message, /bottlenecks of 4 values between its stages, which are a part of what it trains/);
  }
});
