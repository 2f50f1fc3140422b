// `potluck game validate` as a function, in real threads: the games of this build keep every promise, and each broken one is named by its part.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Check } from './validate.ts';
import { validateInThread } from './validate-job.ts';

const CHAIN = join(import.meta.dirname, '..', 'games', 'addition-chain.ts');
const example = (name: string): string => join(import.meta.dirname, '..', '..', 'examples', `${name}.ts`);
const folder = mkdtempSync(join(tmpdir(), 'potluck-validate-'));
after(() => rmSync(folder, { recursive: true, force: true }));

async function validate(game: string, call_ms = 30_000): Promise<Check[]> {
  const checks: Check[] = [];
  await validateInThread({ game, settings: null, call_ms }, (check) => checks.push(check));
  return checks;
}

const broken = (checks: readonly Check[]): Check[] => checks.filter(({ got }) => got !== null);

function changed(name: string, change: string): string {
  const path = join(folder, `${name}.ts`);
  writeFileSync(
    path,
    `import { game as sound } from '${pathToFileURL(CHAIN)}';\nlet calls = 0;\nexport const game = { ...sound, ${change} };\n`,
  );
  return path;
}

test('the games of this build keep every promise, and so do the examples of games that need `run` and `compute`', async () => {
  for (const game of ['addition-chain', 'pretrain', example('short-program'), example('tiny-training')]) {
    const checks = await validate(game);
    assert.deepEqual(broken(checks), [], game);
    const parts = new Set(checks.map(({ part }) => part));
    for (const part of ['params', 'sizes', 'first', 'task', 'perform', 'checkForm', 'check', 'merge', 'evaluate']) {
      assert.ok(parts.has(part), `${game}: nothing was said of ${part}`);
    }
  }
});

test('a game that runs programs or computes graphs without naming that among its needs is told so', async () => {
  for (const [name, need] of [
    ['short-program', 'run'],
    ['tiny-training', 'compute'],
  ]) {
    const path = join(folder, `unnamed-${need}.ts`);
    const sound = `import { game as sound } from '${pathToFileURL(example(name))}';`;
    writeFileSync(path, `${sound}\nexport const game = { ...sound, needs: [] };\n`);
    const found = broken(await validate(path)).map(({ part, got }) => `${part}: ${got}`);
    assert.deepEqual(found, [`needs: no ${need}: a device without it would join, and fail`]);
  }
});

describe('a promise that is broken is named by its part and what came', () => {
  const cases: readonly (readonly [name: string, change: string, part: string, got: RegExp])[] = [
    [
      'drawn-task',
      'task: (params, round, peer) => ({ ...sound.task(params, round, peer), at: calls++ })',
      'task',
      /another task when/,
    ],
    ['one-task', "task: (params, round) => sound.task(params, round, 'x')", 'task', /the same task for another peer/],
    [
      'same-task',
      "task: (params, round, peer) => sound.task(params, { ...round, seed: 'x' }, peer)",
      'task',
      /for another seed/,
    ],
    ['idle', 'perform: async () => null', 'perform', /work of 0, null of the others/],
    [
      'unsound-stop',
      'async perform(task, device, signal) { const claim = await sound.perform(task, device, signal); return signal.aborted ? { work: new Uint8Array(2), amount: 1, numbers: {} } : claim; }',
      'perform',
      /bad-form/,
    ],
    ['mean-form', "checkForm() { throw new TypeError('no'); }", 'checkForm', /game-threw: mean-form.checkForm: no/],
    [
      'untyped-form',
      'checkForm(_, work) { JSON.parse(new TextDecoder().decode(work)); }',
      'checkForm',
      /game-threw: untyped-form.checkForm/,
    ],
    ['open-form', 'checkForm() {}', 'check', /bad-form/],
    ['tight', 'sizes: () => ({ max_bytes: 1, dense_bytes: 1 })', 'checkForm', /where max_bytes is 1/],
    [
      'mean',
      "check: async (...given) => ({ ...(await sound.check(...given)), accepted: false, weight: 0, code: 'no' })",
      'check',
      /refused \(no\)/,
    ],
    [
      'generous',
      'check: async (task, claim) => sound.check({ ...task, n: JSON.parse(new TextDecoder().decode(claim.work)).at(-1) }, claim)',
      'check',
      /another peer's work/,
    ],
    [
      'drifting',
      'merge: (params, state, works) => [...sound.merge(params, state, works), [calls++, 1]]',
      'merge',
      /instead of/,
    ],
    [
      'careless',
      'merge: (params, state, works) => { state.push([1, 1]); return sound.merge(params, state, works); }, first: () => []',
      'merge',
      /instead of/,
    ],
    ['lossy', 'decodeState: () => []', 'encodeState', /instead of/],
    ['dated', 'encodeState: () => new TextEncoder().encode(String(calls++))', 'first', /instead of/],
    ['other-measure', 'evaluate: async () => ({ loss_micro: 1 })', 'evaluate', /game-nonsense/],
    ['no-measure', 'evaluate: async () => ({ excess_micro: 0.5 })', 'evaluate', /game-nonsense/],
  ];
  for (const [name, change, part, got] of cases) {
    test(name, async () => {
      const [first] = broken(await validate(changed(name, `name: '${name}', ${change}`)));
      assert.ok(first, 'nothing was found');
      assert.equal(first.part, part);
      assert.match(first.got!, got);
    });
  }
});

test('a part that never gives way is ended and named', async () => {
  await assert.rejects(() => validate(changed('loop', 'merge() { for (;;); }'), 1000), {
    code: 'game-late',
    message: /^merge: expected an answer within 1500 ms/,
  });
});
