// The bench of the bus measures what it says: every message is answered, heard or taken, and each side takes time for it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NATS_SKIPPED } from '../hub/cluster/testing/nats-server.ts';
import { measureBus } from './bus.ts';

test('questions, messages and frames have a rate and a price on each side', { skip: NATS_SKIPPED }, async () => {
  const rows = await measureBus(400);
  assert.deepEqual(
    rows.map(({ what }) => what),
    ['question and answer', 'message', 'frame of 1,000 bytes', 'frame of 60,000 bytes'],
  );
  for (const { what, a_second, here_us, there_us } of rows) {
    assert.ok(a_second > 10 && here_us > 0 && there_us > 0, `${what}: ${a_second} ${here_us} ${there_us}`);
  }
});
