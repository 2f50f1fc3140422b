// bench upload refuses nonsense before it starts anything.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runBench } from './bench.ts';
import * as upload from './upload.ts';

test('refuses options it does not know', async () => {
  for (const args of [['--fast'], ['--mb', '0'], ['--mb', 'many'], ['--data', '/nowhere/at/all']]) {
    await assert.rejects(runBench('upload', upload, args), { name: 'BenchError', code: 'usage' });
  }
});
