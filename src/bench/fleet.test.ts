// bench fleet measures a simulation of its own, whose cost does not grow with the devices, and refuses nonsense.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { runBench } from './bench.ts';
import * as fleet from './fleet.ts';

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'fleet', ...args], { encoding: 'utf8' });

test('a hundred million devices for a few days, with time and memory of the process', () => {
  const { status, stdout, stderr } = bench('--quick', '--json', '-');
  assert.equal(status, 0, stderr);
  const { hours, peak_bytes, seconds, tokens, device_hours } = JSON.parse(stdout);
  assert.equal(hours, 48);
  assert.ok(peak_bytes > 1e7 && seconds > 0 && tokens > 0);
  assert.ok(device_hours > 0.8 * 48e8 && device_hours <= 48e8, `${device_hours}`);
});

test('refuses options it does not know', async () => {
  for (const args of [['--devices', '0'], ['--days', 'many'], ['--fast']]) {
    await assert.rejects(runBench('fleet', fleet, args), { name: 'BenchError', code: 'usage', message: /^[^\n]+$/ });
  }
});
