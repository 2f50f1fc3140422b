// bench presign signs and writes what it says, and refuses nonsense.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openS3 } from '../ledger/s3/client.ts';
import { startS3Double } from '../ledger/testing/s3-double.ts';
import { runBench } from './bench.ts';
import * as presign from './presign.ts';

test('refuses options it does not know', async () => {
  for (const args of [['--fast'], ['--presigns', '0'], ['--batches', 'many']]) {
    await assert.rejects(runBench('presign', presign, args), { name: 'BenchError', code: 'usage' });
  }
});

test('measures presigned uploads, and batches that are in the bucket afterwards', async () => {
  assert.ok(presign.presignCpu(200) > 0);
  const double = await startS3Double();
  const s3 = openS3({ ...double, url: `${double.url}/${double.bucket}` });
  const { p50_ms, p99_ms } = await presign.journalBatches('double', s3, 3, 12);
  assert.ok(p50_ms > 0 && p99_ms >= p50_ms);
  assert.equal([...double.objects.keys()].filter((key) => key.startsWith('journal/bench-3-')).length, 12);
  await double.stop();
});
