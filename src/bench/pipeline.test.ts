// bench pipeline trains in stages through coded boundaries, says what they cost, measures a stage's memory, and refuses nonsense.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runBench } from './bench.ts';
import * as pipeline from './pipeline.ts';
import { memoryReport } from './pipeline-memory.ts';

const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const text = join(folder, 'text.txt');
writeFileSync(text, 'the quick brown fox jumps over the lazy dog. '.repeat(200));

const usual = {
  data: text,
  steps: 40,
  stride: 2,
  model: 'tiny',
  stages: 2,
  threads: 1,
  replicas: 1,
  rounds: 2,
  larger_rounds: 2,
  liars: [] as string[],
  liars_rounds: 2,
  try: null,
  out: null,
  results: null,
} as const;

test('without codes the loss is that of the whole model; coded boundaries are as small as they say, and learn', async () => {
  const own = JSON.stringify({
    boundary: { tokens: 'frozen', width: 8, bits: 4, gradient_bits: 4 },
    refresh_steps: 10,
    micro_batches: 3,
  });
  const codings = ['whole', 'f32', 'tokens-16'];
  const out = join(folder, 'frontier.svg');
  const { data, text: shown } = await pipeline.run({ ...usual, only: ['boundaries'], codings, try: own, out });
  const { boundaries } = data as {
    boundaries: Awaited<ReturnType<typeof import('./pipeline-trial.ts').runPipelineTrial>>[];
  };
  const [whole, f32, narrow, mine] = boundaries;
  assert.ok(whole.validation_loss < 0.98 * Math.log(28), `${whole.validation_loss}`);
  assert.ok(Math.abs(f32.validation_loss / whole.validation_loss - 1) < 0.003, `${f32.validation_loss}`);
  assert.ok(Math.abs(f32.exported_loss / f32.validation_loss - 1) < 1e-4);
  const values = ({ traffic }: typeof f32) => [traffic!.forward_bytes, traffic!.backward_bytes, traffic!.ratio];
  assert.deepEqual(values(f32), [64, 64, 1]);
  assert.deepEqual(values(narrow), [8.5, 8.5, 64 / 8.5]);
  const { wire_forward_bytes, wire_backward_bytes } = narrow.traffic!;
  const envelope_bytes = 331 / (12 * 16); // names, seed and signature of a message of so many tokens
  assert.ok(wire_backward_bytes < 8.5 + envelope_bytes, `${wire_backward_bytes}`);
  assert.ok(wire_forward_bytes < 8.5 + 17 / 16 + envelope_bytes, `${wire_forward_bytes}`);
  assert.ok(wire_forward_bytes > wire_backward_bytes / 2 && wire_backward_bytes > 4, 'nothing is left out');
  assert.ok(Math.abs(narrow.validation_loss / whole.validation_loss - 1) < 0.03, `${narrow.validation_loss}`);
  assert.deepEqual(values(mine), [5, 5, 64 / 5]);
  assert.match(shown, /tokens-16 +\d\.\d{4}/);
  const picture = readFileSync(out, 'utf8');
  assert.ok(picture.includes(`tokens-16 ${narrow.validation_loss.toFixed(3)}`) && picture.includes('whole model'));
  assert.equal(picture.match(/<circle/g)?.length, 2, 'those that are smaller than float32');
});

test('the peak of a stage’s process is measured beside the whole’s', async () => {
  const { data } = await memoryReport('tiny', 2);
  assert.deepEqual(
    data.map(({ what }) => what),
    ['whole', 'stage 1 of 2', 'stage 2 of 2'],
  );
  for (const { peak_bytes, idle_bytes } of data) assert.ok(peak_bytes >= idle_bytes && idle_bytes > 1e7);
});

test('rounds by the game itself: in stages it learns as well as on whole models, and deaths cost a part', async () => {
  const { data, text: shown } = await pipeline.run({ ...usual, only: ['rounds'], codings: [], replicas: 2, rounds: 1 });
  const { rounds } = data as { rounds: Awaited<ReturnType<typeof import('./pipeline-rounds.ts').runRounds>> };
  const [whole, stages, dying] = rounds;
  assert.ok(Math.abs(stages.loss / whole.loss - 1) < 0.05, `${stages.loss} beside ${whole.loss}`);
  assert.equal(stages.kept_permille, 1000);
  assert.ok(dying.kept_permille > 500 && dying.kept_permille <= 1000, `${dying.kept_permille}`);
  assert.match(shown, /one device dies in each round/);
});

test('a third of the devices lie: they are paid nothing, nobody else is refused, and the loss is held against as many verified tokens', async () => {
  const { data, text: shown } = await pipeline.run({
    ...usual,
    only: ['liars'],
    codings: [],
    stages: 3,
    liars: ['forward-only'],
    liars_rounds: 1,
  });
  const [honest, lying] = (data as { liars: Awaited<ReturnType<typeof import('./pipeline-liars.ts').runLiars>> }).liars;
  assert.deepEqual([honest.who, honest.above, honest.pay, honest.refused], ['nobody', 0, 0, 0]);
  assert.deepEqual([lying.who, lying.pay, lying.refused], ['forward-only', 0, 0]);
  assert.ok(lying.verified > 0 && honest.judging > 0 && Math.abs(lying.above) < 0.2, JSON.stringify(lying));
  assert.ok(lying.fates['other-outputs'] > 0, JSON.stringify(lying.fates));
  assert.match(shown, /forward-only +\d\.\d{4}/);
});

test('processes that hold a stage each train a model; the peak of each is measured, of the export’s and of the whole’s, too', async () => {
  const { data, text: shown } = await pipeline.run({ ...usual, only: ['larger'], codings: [] });
  const { larger } = data as { larger: Awaited<ReturnType<typeof import('./pipeline-larger.ts').runLarger>> };
  const { rows, losses, merged_submissions } = larger;
  assert.deepEqual(
    rows.map(({ process, stage }) => (process.startsWith('worker') ? stage : process)),
    ['training of the whole', 1, 2, 'validator', 'export', 'hub'],
  );
  // Less than that is no process of Node, and more is none of a tiny model.
  for (const { process, peak_bytes } of rows)
    assert.ok(peak_bytes > 3e7 && peak_bytes < 1e9, `${process} ${peak_bytes}`);
  assert.equal(merged_submissions, 2 * 2);
  assert.ok(losses.last! > 0 && losses.last! < losses.first!, JSON.stringify(losses));
  assert.match(shown, /validator +– +\d+ MB +(yes|no)\n/);
});

test('a missing text and senseless trials are one clear line', async () => {
  const usage = { code: 'usage' };
  await assert.rejects(runBench('pipeline', pipeline, ['--data', join(folder, 'none.txt')]), usage);
  await assert.rejects(runBench('pipeline', pipeline, ['--data', text, '--codings', 'magic']), usage);
  await assert.rejects(runBench('pipeline', pipeline, ['--data', text, '--try', '{"boundary":{"bits":9}}']), usage);
  await assert.rejects(runBench('pipeline', pipeline, ['--data', text, '--try', '{']), usage);
});
