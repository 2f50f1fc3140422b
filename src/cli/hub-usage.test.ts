// What `potluck hub --usage` counts: the log, the blobs by when they came, and nothing where no hub is.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSmallBlobs, SMALL_BLOBS_FILE } from '../ledger/small-blobs.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { sayUsage, usageOf } from './hub-usage.ts';

test('sizes, and what came in the last day and week', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-usage-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  await assert.rejects(usageOf(folder, 0), { code: 'bad-folder' });
  const now_ms = 1_800_000_000_000;
  const put = (name: string, size: number, days: number): void => {
    mkdirSync(join(folder, 'blobs', 'ab', 'cd'), { recursive: true });
    writeFileSync(join(folder, name), new Uint8Array(size));
    const time = new Date(now_ms - days * 86_400_000);
    utimesSync(join(folder, name), time, time);
  };
  put('hub.key', 9, 30);
  put('hub.sqlite', 3000, 0);
  put('hub.sqlite-wal', 500, 0);
  put('blobs/ab/cd/one', 100, 0.5);
  put('blobs/ab/cd/two', 20, 3);
  put('blobs/ab/cd/three', 7, 8);
  const small = openSmallBlobs(join(folder, 'blobs', SMALL_BLOBS_FILE), { make: true });
  const bytes = new Uint8Array(1000);
  await small.put(sha256Hex(bytes), bytes);
  small.close(); // it came at the time of this machine, long before the time of this test
  const { free_bytes, total_bytes, ...counted } = await usageOf(folder, now_ms);
  assert.deepEqual(counted, {
    ...{ log_bytes: 3500, age_days: 30, blobs: 4, blob_bytes: 1127, last_day_bytes: 100, last_week_bytes: 120 },
  });
  assert.ok(free_bytes > 0 && free_bytes < total_bytes);
  const said: string[] = [];
  await sayUsage(folder, { json: false, say: (text: string) => void said.push(text) });
  assert.match(said[0], /log {4}3\.50 kB, .*\n {2}blobs {2}1\.13 kB in 4 blobs; .*\n {2}disk {3}/);
});
