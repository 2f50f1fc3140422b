// bench grammars measures two vocabularies and says what a token costs, later less than at first.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

test('CPU-ms of masks, as JSON', () => {
  const args = [join(import.meta.dirname, 'main.ts'), 'grammars', '--quick', '--json', '-'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const rows: { tokens: number; first_token_ms: number; later_token_ms: number }[] = JSON.parse(stdout);
  assert.deepEqual(
    rows.map(({ tokens }) => tokens),
    [1000, 4000],
  );
  for (const { first_token_ms, later_token_ms } of rows)
    assert.ok(later_token_ms > 0 && later_token_ms < first_token_ms);
});
