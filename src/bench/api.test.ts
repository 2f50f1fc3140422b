// bench api runs, counts every token, and its JSON holds together.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

test('a small measurement of the gateway', () => {
  const args = ['--streams', '20', '--tokens', '10', '--per-second', '50', '--json', '-'];
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, 'main.ts'), 'api', ...args],
    {
      encoding: 'utf8',
    },
  );
  assert.equal(status, 0, stderr);
  const data = JSON.parse(stdout);
  assert.deepEqual([data.streams, data.tokens], [20, 10]);
  assert.ok(data.cpu_ms_a_token > data.clock_cpu_ms_a_token && data.clock_cpu_ms_a_token > 0);
  assert.ok(data.rss_bytes >= data.idle_rss_bytes && data.wall_s >= 0.2);
});
