// Tests of `bench page`: it measures with real processes and a real browser, and its model reads characters as others can.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { tokenizerFromJson } from '../model/tokenizer.ts';
import { runBench } from './bench.ts';
import { CHARACTERS, characterTokenizer, inCharacters } from './characters.ts';
import { CHROMIUM } from './chromium.ts';
import { BenchError } from './errors.ts';
import * as page from './page.ts';

const skip = !CHROMIUM && !process.env.CI ? 'no Chromium on this machine (CI must have one)' : false;
test('the page is light, what computes comes with consent, and the second time from the cache', { skip }, () => {
  const text = join(import.meta.dirname, '..', '..', 'README.md');
  const args = [join(import.meta.dirname, 'main.ts'), 'page', '--only', 'weight', '--data', text, '--json', '-'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 480_000 });
  assert.equal(status, 0, stderr);
  const { figures, weight } = JSON.parse(stdout);
  assert.equal(weight.computing_before_consent, 0);
  assert.ok(weight.before_bytes > 10_000, 'the page was fetched');
  assert.ok(weight.to_button_bytes > weight.before_bytes, 'My device has code of its own');
  assert.ok(weight.on_consent_wasm_bytes > 1_000_000, 'the runtime was fetched');
  assert.equal(weight.second_visit_wasm_bytes, 0);
  assert.ok(weight.second_visit_bytes > 0, 'the document is asked for anew');
  for (const { what, reached } of figures) assert.notEqual(reached, false, what);
});

for (const args of [['--only', 'everything'], ['--visits', '0'], ['--mixed', '--steps', 'many'], ['--fast']]) {
  // How the command says so: bench.test.ts.
  test(`refuses: ${args.join(' ')}`, async () => {
    await assert.rejects(
      runBench('page', page, args),
      (error) => error instanceof BenchError && error.code === 'usage',
    );
  });
}

test('65 characters: the tokenizer that goes with the model reads and writes as the one that made the data', () => {
  const made = characterTokenizer();
  const read = tokenizerFromJson(made.json);
  assert.equal(made.vocab_size, 65);
  assert.equal(read.vocab_size, 65);
  const text = `${CHARACTERS}To be, or not to be:\nthat is the question`;
  assert.deepEqual(Array.from(made.encode(text)), Array.from(read.encode(text)));
  assert.equal(read.decode(made.encode(text)), text);
  assert.equal(made.decode(made.encode(text)), text);
  assert.equal(inCharacters('x{ä}\n'), 'x   \n');
});
