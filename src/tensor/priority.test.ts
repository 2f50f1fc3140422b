// A device that takes part leaves its owner's programs their time, with every thread that it has or starts.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

test('every thread of the process has a lower priority, also one that is started later', {
  skip: process.platform !== 'linux',
}, () => {
  const script = `
    import { readdirSync, promises } from 'node:fs';
    import { getPriority } from 'node:os';
    import { Worker } from 'node:worker_threads';
    import { yieldToOthers } from ${JSON.stringify(join(import.meta.dirname, 'priority.ts'))};
    await promises.readFile('/proc/self/stat'); // starts the pool of threads
    yieldToOthers();
    const worker = new Worker('setTimeout(() => {}, 1e6)', { eval: true });
    await new Promise((resolve) => worker.once('online', resolve));
    console.log(JSON.stringify(readdirSync('/proc/self/task').map((thread) => getPriority(Number(thread)))));
    process.exit();`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  const priorities: number[] = JSON.parse(stdout || `"${stderr}"`);
  assert.ok(priorities.length > 5);
  assert.deepEqual([...new Set(priorities)], [19]);
});
