// The first work of a device in a run is short, every later one is not, also when the device has been away.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryDrawer } from '../games/memory-drawer.ts';
import type { Clock } from '../protocol/clock.ts';
import { FIRST_WORK_MS, watchFirstWork } from './first-work.ts';

function clockAt(now: { ms: number }): Clock {
  return { elapsed_ms: () => now.ms } as Clock;
}

test('it has been enough some time after the first step, however long that one took', async () => {
  const now = { ms: 0 };
  const work = await watchFirstWork({ drawer: memoryDrawer() }, clockAt(now));
  now.ms = 60_000; // loading, compiling
  assert.equal(work.enough(1), false);
  now.ms += FIRST_WORK_MS - 1;
  assert.equal(work.enough(2), false);
  now.ms += 1;
  assert.equal(work.enough(3), true);
});

test('until something is handed in each work is the first; after it none is, nor after a restart', async () => {
  const now = { ms: 0 };
  const drawer = memoryDrawer();
  const work = await watchFirstWork({ drawer }, clockAt(now));
  for (let round = 0; round < 2; round++) {
    assert.equal(work.enough(1), false);
    now.ms += FIRST_WORK_MS;
    assert.equal(work.enough(2), true);
  }
  await work.handedIn();
  for (const later of [work, await watchFirstWork({ drawer }, clockAt(now))]) {
    assert.equal(later.enough(1), false);
    now.ms += 100 * FIRST_WORK_MS;
    assert.equal(later.enough(2), false);
  }
});
