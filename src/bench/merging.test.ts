// bench merging trains, lets liars lie, prints both rules, and refuses nonsense; every attack sends what it says.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runBench } from './bench.ts';
import * as merging from './merging.ts';
import { ATTACKS, type AttackName, lies } from './parity-liars.ts';

const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const text = join(folder, 'text.txt');
writeFileSync(text, 'the quick brown fox jumps over the lazy dog. '.repeat(200));

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'merging', ...args], { encoding: 'utf8' });

test('loss by rule and attack, as JSON; a finished trial is not repeated', () => {
  const results = join(folder, 'results.jsonl');
  const common = ['--data', text, '--model', 'tiny', '--steps', '60', '--results', results];
  const { status, stdout, stderr } = bench(...common, '--attacks', 'nobody lies,flip', '--json', '-');
  assert.equal(status, 0, stderr);
  const losses = new Map<string, number>();
  for (const { rule, attack, validation_loss } of JSON.parse(stdout)) losses.set(`${rule}, ${attack}`, validation_loss);
  assert.equal(losses.size, 4);
  assert.ok(losses.get('mean, flip')! > losses.get('agreement, flip')!, 'liars harm the mean more');
  const again = bench(...common, '--attacks', 'flip', '--rules', 'agreement');
  assert.match(again.stdout, new RegExp(losses.get('agreement, flip')!.toFixed(4)));
});

test('refuses options it does not know', async () => {
  for (const args of [[], ['--data', text, '--attacks', 'bribes'], ['--data', text, '--rules', 'luck'], ['--fast']]) {
    await assert.rejects(runBench('merging', merging, args), {
      name: 'BenchError',
      code: 'usage',
      message: /^[^\n]+$/,
    });
  }
});

test('what liars say: as loud as the honest or louder, the opposite where they say so, alike where they conspire', () => {
  const specs = [{ name: 'w', shape: [200], decay: true }];
  const honest = [1, 3].map((k) => new Map([['w', Float32Array.from({ length: 200 }, (_, i) => k * (i % 7) - 9)]]));
  const mean = honest[0].get('w')!.map((value, i) => (value + honest[1].get('w')![i]) / 2);
  const said = (attack: AttackName) => lies(attack, 2, specs, honest, 'seed').map((lie) => [...lie.get('w')!]);
  const along = (values: readonly number[]) => values.reduce((sum, value, i) => sum + value * mean[i], 0);
  for (const attack of Object.keys(ATTACKS) as AttackName[]) {
    const [a, b] = said(attack);
    assert.deepEqual(said(attack), [a, b]);
    assert.equal(attack === 'noise', !a.every((value, i) => value === b[i]), attack);
    if (['flip', 'loud flip', 'alone'].includes(attack)) assert.ok(along(a) < 0, attack);
  }
  assert.deepEqual(said('flip')[0], [...mean.map((value) => -value)]);
});
