// `potluck run create`: what it says of a run before anything is sent, and that a dry run needs no hub and leaves nothing.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bytesOf, progressSentence } from './bytes-progress.ts';
import { schemaOf } from './json-objects.ts';
import { runCommand } from './run.ts';
import { printed } from './testing/printed.ts';

const folder = mkdtempSync(join(tmpdir(), 'potluck-create-'));
const home = process.env.POTLUCK_HOME;
process.env.POTLUCK_HOME = join(folder, 'home');
after(() => {
  if (home === undefined) delete process.env.POTLUCK_HOME;
  else process.env.POTLUCK_HOME = home;
  rmSync(folder, { recursive: true, force: true });
});

const create = (...words: string[]): Promise<string> => printed(runCommand(), 'create', ...words);

const texts = join(folder, 'texts');
mkdirSync(texts);
writeFileSync(join(texts, 'a.txt'), Array.from({ length: 2000 }, (_, i) => `Line ${i}.\r\n`).join(''));
writeFileSync(join(texts, 'b.jsonl'), '{"messages":[{"role":"user","content":"Hello"}]}\nnonsense\n');
writeFileSync(join(texts, '.hidden'), 'x');
writeFileSync(join(texts, 'c.pdf'), '%PDF-1.7');
symlinkSync('gone.txt', join(texts, 'd.txt'));
const SMALL = '--layers 1 --width 16 --heads 2 --context 16 --batch 4 --steps 5 --rounds 10 --skip-bad 1'.split(' ');

test('a dry run says what was read, what was left out and why, and what the run would be', async () => {
  const said = await create('--data', texts, ...SMALL, '--min-workers', '3', '--dry-run');
  for (const part of [
    'Read 2 files (1 plain text, 1 JSON lines): 2 documents, 1 chat among them.',
    'Left out 3: 1 hidden, 1 .pdf, 1 broken link.',
    `A broken link: ${join(texts, 'd.txt')}`,
    `Passed over 1 bad record; the first: ${join(texts, 'b.jsonl')}: line 2 is not JSON`,
    'Line ends of Windows (CRLF) became LF in 1 file.',
    '20,903 tokens: 19,879 to learn from, 1,024 to validate on, in 20 pieces.',
    'The model has 11,408 parameters; a worker sends about ',
    'learns from 3,200 tokens in 10 rounds: the text 0.16 times, 3 workers 0.48 times.',
    'Nothing was sent: this was a dry run.',
  ]) {
    assert.ok(said.includes(part), `${part}\n${said}`);
  }
  assert.ok(!existsSync(join(folder, 'home', 'owner.key')), 'no key is made for it');
  assert.deepEqual(readdirSync(join(folder, 'home', 'cache')), [], 'no tokens are left');
});

test('the same for programs, in one object that is written down', async () => {
  const held_out = join(folder, 'held-out.txt');
  writeFileSync(held_out, 'Something else to be measured by, long enough.');
  const said = await create('--data', texts, ...SMALL, '--validation', held_out, '--dry-run', '--json');
  const value = JSON.parse(said.trim().split('\n').at(-1)!);
  assert.ok(schemaOf('planned')!.safeParse(value).success);
  const { type, files, documents, chats, left_out, train_tokens, validation_tokens, validation_files } = value;
  assert.deepEqual(
    { type, files, documents, chats, train_tokens, validation_tokens, validation_files },
    {
      ...{ type: 'planned', files: 2, documents: 2, chats: 1, train_tokens: 20_903 },
      validation_tokens: 47,
      validation_files: 1,
    },
  );
  assert.deepEqual(
    left_out.map(({ reason, count }: { reason: string; count: number }) => [reason, count]),
    [
      ['hidden', 1],
      ['.pdf', 1],
      ['broken link', 1],
    ],
  );
  assert.equal(value.tokens_per_worker, 3200);
  assert.ok(Math.abs(value.epochs_per_worker - 3200 / 20_903) < 1e-9);
});

test('heads that do not share the width evenly are refused, with widths that they would', async () => {
  const create_ = (...words: string[]) => create('--data', texts, '--dry-run', ...words);
  await assert.rejects(create_('--width', '130', '--heads', '4'), {
    code: 'bad-argument',
    message: '--width 130 is no multiple of --heads 4: a head would have 32.50 numbers; take 128 or 136',
  });
  await assert.rejects(create_('--width', '100', '--heads', '3'), { message: /take 96 or 102/ });
});

test('in stages: what a worker holds and sends is of the largest, and batches are micro-batches of a step', async () => {
  const cut = ['--stages', '2', '--micro-batches', '3'];
  const said = await create('--data', texts, ...SMALL, ...cut, '--dry-run');
  const model = /11,408 parameters; it is cut into 2 stages of at most ([\d,]+), of which a worker holds one and sends/;
  const largest = Number(model.exec(said)?.[1].replaceAll(',', ''));
  assert.ok(largest > 11_408 / 2 && largest < 11_408, said);
  assert.ok(
    said.includes('A worker of the first stage that does all its steps hands on 9,600 tokens in 10 rounds'),
    said,
  );
  assert.ok(said.includes('The hub keeps every merged model whole, 456 kB in all; with --keep recent'), said);
  assert.ok(!(await create('--data', texts, ...SMALL, ...cut, '--keep', 'recent', '--dry-run')).includes('whole'));
  const value = JSON.parse(
    (await create('--data', texts, ...SMALL, ...cut, '--dry-run', '--json')).trim().split('\n').at(-1)!,
  );
  const { stages, largest_stage_parameters, tokens_per_worker } = value;
  assert.deepEqual([stages, largest_stage_parameters, tokens_per_worker], [2, largest, 9600]);
});

test('boundaries of a few bits: what a token takes, and whether the model can be taken home', async () => {
  const said = (...words: string[]) => create('--data', texts, ...SMALL, '--stages', '2', '--dry-run', ...words);
  const takes = (of: string) => `Between two stages a token takes ${of}, there and back`;
  assert.ok((await said()).includes(takes('128 B')));
  const coded = await said('--boundary-bits', '8');
  assert.ok(coded.includes(takes('34 B')) && !coded.includes('no Llama'), coded);
  const finer = await said('--boundary-bits', '2', '--boundary-scale-tokens', '4');
  assert.ok(finer.includes(takes('12.5 B')), 'gradients have four bits at the least');
  const narrow = ['--boundary-width', '4', '--boundary-tokens', 'trained', '--boundary-bits', '4'];
  const own = await said(...narrow, '--boundary-gradient-bits', '2', '--json');
  const { boundary_bytes, is_llama } = JSON.parse(own.trim().split('\n').at(-1)!);
  assert.deepEqual([boundary_bytes, is_llama], [5, false]);
  assert.match(await said(...narrow), /no Llama then: nobody can export it/);
});

test('stages that cannot be are refused with what they contradict', async () => {
  const refused = (message: RegExp, ...words: string[]) =>
    assert.rejects(create('--data', texts, ...SMALL, '--dry-run', ...words), { code: 'bad-argument', message });
  await refused(
    /--stages 4: this model has 3 parts, 1 layer, its embedding and its head; take at most 3/,
    '--stages',
    '4',
  );
  await refused(/--stages 2: a model whose head is its embedding \(--tied\)/, '--stages', '2', '--tied');
  await refused(/--micro-batches goes with --stages/, '--micro-batches', '2');
  await refused(/--apart-rounds goes with --stages/, '--apart-rounds', '2');
  await refused(/--boundary-bits goes with --stages: a model that is not cut/, '--boundary-bits', '4');
  await refused(/--boundary-scale-tokens goes with --stages/, '--boundary-scale-tokens', '4');
  await refused(/--boundary-width 17: the model is 16 wide/, '--stages', '2', '--boundary-width', '17');
  await refused(/that divides the 64 tokens of a micro-batch/, '--stages', '2', '--boundary-scale-tokens', '3');
  await refused(/--min-workers and --stages 3 contradict/, '--stages', '3', '--min-workers', '2');
  const other = (message: RegExp, ...words: string[]) => assert.rejects(create(...words), { message });
  await other(/--stages and --game addition-chain contradict/, '--game', 'addition-chain', '--stages', '2');
  await other(/--stages N in place of --game pipeline/, '--game', 'pipeline');
});

test('a first model that no hub would take is refused before its text is read', async () => {
  const large = ['--layers', '64', '--width', '4096', '--heads', '32', '--stages', '40', '--data', texts, '--dry-run'];
  await assert.rejects(create(...large), {
    code: 'bad-params',
    message: /^the model takes 5\d\.\d\d GB in f32; hubs take a first model of at most 4\.29 GB$/,
  });
});

test('how far something is, in words', () => {
  assert.equal(bytesOf(45_200_000, 200_000_000), '45 of 200 MB');
  assert.equal(bytesOf(450_000, 3_300_000), '0.45 of 3.30 MB');
  assert.equal(bytesOf(45_200_000, null), '45.2 MB');
  assert.equal(progressSentence('reading', 50e6, 200e6, 5000), 'reading 50 of 200 MB, 10.0 MB/s, 15 s left');
  assert.equal(progressSentence('reading', 200e6, 200e6, 5000), 'reading 200 of 200 MB, 40.0 MB/s');
  assert.equal(progressSentence('reading', 5e6, null, 1000), 'reading 5.00 MB, 5.00 MB/s');
});
