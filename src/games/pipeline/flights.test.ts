// How long a micro-batch's next device is waited for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patience } from './flights.ts';
import { UsualTime } from './routes.ts';

test('patience grows with what is usual, in whole milliseconds, which every timer takes', () => {
  const usual = new UsualTime();
  assert.equal(patience(usual, 2, 3000), 3000);
  usual.add(1499.9);
  assert.equal(patience(usual, 2, 3000), 3000);
  usual.add(2000.7);
  const more_ms = patience(usual, 2, 3000);
  assert.ok(more_ms > 3000, `${more_ms}`);
  assert.doesNotThrow(() => AbortSignal.timeout(more_ms));
});
