// bench hub plays a round and a kill with real sockets, its JSON holds together, and it refuses what cannot be measured in one line.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const MAIN = join(import.meta.dirname, 'main.ts');
const SMALL = [
  '--peers',
  '24',
  '--submissions',
  '12',
  '--validators',
  '3',
  '--processes',
  '2',
  '--watch-seconds',
  '6',
  '--told-seconds',
  '2',
];

test('everybody is there after a kill, all work is judged and merged, and a validator is sent its part', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'hub', ...SMALL, '--json', '-'], {
    encoding: 'utf8',
    timeout: 240_000,
  });
  assert.equal(status, 0, stderr);
  const { steps, events, back, validator_mb, memory_mb, sockets } = JSON.parse(stdout);
  assert.ok(sockets.told_bytes > 100 && sockets.told_bytes < 5000 && sockets.memory_mb > 0, JSON.stringify(sockets));
  const counts = Object.fromEntries(steps.map(({ what, count }: { what: string; count: number }) => [what, count]));
  const expected = { join: 24, 'come back': 24, 'hand in': 12, 'say goodbye': 9, seal: 36, reveal: 36, merge: 1 };
  for (const [what, count] of Object.entries(expected)) assert.equal(counts[what], count, what);
  assert.deepEqual([events, back.leaves], [24 + 12 + 9 + 36 + 36, 0]);
  assert.ok(validator_mb > 0 && validator_mb < 1 && memory_mb > 0);
});

test('more work than peers, and fewer open files than sockets, are refused in one line', () => {
  const run = (command: string) => spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  const bench = `"${process.execPath}" "${MAIN}" hub`;
  for (const command of [
    `${bench} --peers 10 --submissions 10`,
    `ulimit -n 400; ${bench} --peers 1000 --submissions 1`,
  ]) {
    const { status, stdout, stderr } = run(command);
    assert.deepEqual([status, stdout], [2, ''], command);
    assert.match(stderr, /^bench: [^\n]+\n$/);
  }
});
