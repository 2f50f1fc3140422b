// The tests' own runner: what a test throws later is its own fault, and what a file tests belongs to the suite that imports it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

const SCOPE = pathToFileURL(join(import.meta.dirname, '..', 'scripts', 'test-scope.ts')).href;

test('each test, and each file of a group, keeps what is its own', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-scope-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const within = `import { after, test } from 'node:test';
    after(() => console.log('after the file'));
    test('outer', async () => { await test('inner', () => {}); });
    await new Promise((resolve) => setTimeout(resolve));
    test('late', () => {});`;
  const throwing = ['setTimeout', 'setImmediate', 'process.nextTick', 'queueMicrotask', 'Promise.resolve().then'];
  const group = `import { describe, test } from 'node:test';
    const wait = new Promise((resolve) => setTimeout(resolve, 60_000).unref());
    describe('a file', async () => { await import('./within.mjs'); });
    test('beside it', () => {});
    describe('faults', { concurrency: true }, () => {
      ${throwing.map((by) => `test('by ${by}', () => { ${by}(() => { throw new Error('of ${by}'); }); return wait; });`).join('\n')}
    });`;
  writeFileSync(join(folder, 'within.mjs'), within);
  writeFileSync(join(folder, 'group.test.mjs'), group);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const args = [`--import=${SCOPE}`, '--test-reporter=tap', join(folder, 'group.test.mjs')];
  const { stdout, status } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  assert.equal(status, 1, stdout);
  const lines = stdout.split('\n').filter((line) => /^ *(not )?ok/.test(line));
  assert.deepEqual(lines, [
    '        ok 1 - inner',
    '    ok 1 - outer',
    '    ok 2 - late',
    'ok 1 - a file',
    'ok 2 - beside it',
    ...throwing.map((by, i) => `    not ok ${i + 1} - by ${by}`),
    'not ok 3 - faults',
  ]);
  for (const by of throwing) assert.ok(stdout.includes(`error: 'of ${by}'`), by);
  assert.ok(stdout.indexOf('after the file') < stdout.indexOf('ok 2 - beside it'), 'the hook is of the file');
});
