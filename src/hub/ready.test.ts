// /ready says whether a hub takes events: not before it has begun, not while it closes, and not when its log cannot be written.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { LedgerError } from '../ledger/errors.ts';
import { createMemoryLogStore, type LogStore } from '../ledger/log-store.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { systemClock } from '../protocol/clock.ts';
import { createIdentity } from '../protocol/identity.ts';
import { CONNECTION_LIMITS } from './connections.ts';
import { httpApp } from './http.ts';
import { openMeetingPlace } from './meeting-place.ts';
import { openMetrics } from './metrics.ts';

async function openOn(store: LogStore) {
  const identity = await createIdentity();
  const log = openTransparencyLog(store, identity);
  const blobs = createMemoryBlobStore();
  const place = await openMeetingPlace({
    identity,
    log,
    blobs,
    randomBytes,
    clock: systemClock,
    limits: CONNECTION_LIMITS,
  });
  const app = httpApp(place.services, place.unnamed, openMetrics());
  const ready = async () => {
    const response = await app.request('/ready');
    return { status: response.status, body: await response.json() };
  };
  return { place, app, ready };
}

const is = (status: number, state: string) => ({ status, body: { ready: status === 200, state } });

test('opening, ready, closing', async () => {
  const { place, app, ready } = await openOn(createMemoryLogStore());
  assert.deepEqual(await ready(), is(503, 'opening'));
  place.begin();
  assert.deepEqual(await ready(), is(200, 'ready'));
  const closed = place.close();
  assert.deepEqual(await ready(), is(503, 'closing'));
  assert.equal((await app.request('/health')).status, 200, 'it lives as long as it answers');
  await closed;
});

test('a log that cannot be written', async () => {
  const memory = createMemoryLogStore();
  const full: LogStore = {
    ...memory,
    append: () => Promise.reject(new LedgerError('write-failed', 'the disk is full')),
  };
  const { place, ready } = await openOn(full);
  place.begin();
  assert.deepEqual(await ready(), is(200, 'ready'));
  await assert.rejects(() => place.sequencer.write({ type: 'tick', version: 1, time_ms: 1 }), { code: 'write-failed' });
  assert.deepEqual(await ready(), is(503, 'log-failed'));
  await place.close().catch(() => {});
});
