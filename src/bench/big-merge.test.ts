// The bench of a large merge runs through, on a model that is none.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

test('bench big-merge takes work in, merges it, and was answered meanwhile', async () => {
  const main = join(import.meta.dirname, 'main.ts');
  const args = ['big-merge', '--parameters', '0.2', '--workers', '3', '--rounds', '2', '--json', '-'];
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args]);
  const measured = JSON.parse(stdout);
  assert.ok(measured.parameters > 50_000 && measured.parameters < 400_000);
  assert.equal(measured.workers, 3);
  assert.ok(measured.merged_s > 0 && measured.taken_in_s > 0);
  assert.ok(measured.health_ms.asked > 10 && measured.health_ms.median <= measured.health_ms.p99);
  assert.ok(measured.most_memory_bytes > 1e7);
  assert.ok(measured.loop_delay_ms.p99 > 0 && measured.loop_delay_ms.p99 <= measured.loop_delay_ms.most);
  assert.ok(measured.loop_cpu_s > 0 && measured.loop_cpu_s < measured.cpu_s);
});
