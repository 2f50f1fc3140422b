// Whether a hub takes events and uploads, as /ready and /health say it: on a disk that fills up and gets room again, and on one that fails.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { LedgerError } from '../ledger/errors.ts';
import type { LogStore } from '../ledger/log-store.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { sleep, systemClock } from '../protocol/clock.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { uploadChallenge } from '../protocol/messages.ts';
import { openAskers } from './askers.ts';
import { CONNECTION_LIMITS } from './connection.ts';
import { httpApp } from './http.ts';
import { type HubCoreOptions, openHubCore } from './hub-core.ts';
import { openLetters } from './letters.ts';
import { openMetrics } from './metrics.ts';
import { openOrigins } from './origins.ts';

async function openOn(store: LogStore, more: Partial<HubCoreOptions> = {}) {
  const identity = await createIdentity();
  const log = openTransparencyLog(store, identity);
  const blobs = createMemoryBlobStore();
  const told: string[] = [];
  const hubCore = await openHubCore({
    ...{ identity, log, blobs, randomBytes, clock: systemClock, limits: CONNECTION_LIMITS },
    onCondition: ({ state }) => told.push(state),
    ...more,
  });
  const origins = openOrigins({ host: '127.0.0.1', public_url: null });
  const { state } = hubCore.sequencer;
  const { rates } = hubCore.services;
  const letters = openLetters({ path: ':memory:', hub: identity.id, state, clock: systemClock, rates });
  const access = { addressOf: openAskers(), origins, metrics_public: false, letters, api: null };
  const app = httpApp(hubCore.services, hubCore.unnamed, openMetrics(), access);
  const ask = async (path: string) => {
    const response = await app.request(path, {}, ON_LOOPBACK);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const upload = async (bytes: Uint8Array) => {
    const hash = sha256Hex(bytes);
    const headers = {
      'x-potluck-peer': identity.id,
      'x-potluck-signature': bytesToHex(await identity.sign(uploadChallenge(identity.id, hash))),
      'content-length': String(bytes.length),
    };
    const body = bytes as Uint8Array<ArrayBuffer>;
    const response = await app.request(`/blobs/${hash}`, { method: 'PUT', headers, body }, ON_LOOPBACK);
    return { status: response.status, body: (await response.json()) as { error?: { code: string; message: string } } };
  };
  return { hubCore, ask, upload, told, ready: () => ask('/ready') };
}

/** What the server hands in beside a request. */
const ON_LOOPBACK = { incoming: { socket: { remoteAddress: '127.0.0.1' }, headers: { host: 'localhost' } } };

const is = (state: string, reason?: string) => ({
  status: state === 'ready' ? 200 : 503,
  body: { ready: state === 'ready', state, ...(reason === undefined ? {} : { reason }) },
});
const tick = (time_ms: number) => ({ type: 'tick', version: 1, time_ms }) as const;

test('opening, ready, closing', async () => {
  const { hubCore, ask, ready } = await openOn(createMemoryLogStore());
  assert.deepEqual(await ready(), is('opening', 'this hub is starting'));
  hubCore.begin();
  assert.deepEqual(await ready(), is('ready'));
  const closed = hubCore.close();
  assert.deepEqual(await ready(), is('closing', 'this hub is going down'));
  assert.equal((await ask('/health')).status, 200, 'it lives as long as it answers');
  await closed;
});

/** A log in memory on a disk that can be full; `append` says what came, whether it was kept or not. */
function diskLog(code: 'disk-full' | 'write-failed' = 'disk-full') {
  const memory = createMemoryLogStore();
  const disk = { full: false, tries: 0, memory };
  const store: LogStore = {
    ...memory,
    get size() {
      return memory.size;
    },
    async append(entries) {
      disk.tries++;
      if (disk.full) throw new LedgerError(code, 'writing to /secret/hub.sqlite failed: database or disk is full');
      return memory.append(entries);
    },
  };
  return { disk, store };
}

test('a full disk: said everywhere, nothing is lost, and it goes on by itself', async () => {
  const { disk, store } = diskLog();
  const { hubCore, ask, ready, told } = await openOn(store);
  hubCore.begin();
  await hubCore.sequencer.write(tick(1));
  disk.full = true;
  const waiting = [hubCore.sequencer.write(tick(2)), hubCore.sequencer.write(tick(3))];
  await until(() => told.length > 0);
  const reason = "this hub's disk is full: it takes nothing until there is room";
  assert.deepEqual(await ready(), is('disk-full', reason));
  const health = await ask('/health');
  assert.deepEqual([health.status, health.body.ok, health.body.reason], [503, 'no', reason]);
  await assert.rejects(() => hubCore.sequencer.submit(new Uint8Array(9)), { code: 'disk-full' });
  const later = hubCore.sequencer.write(tick(4));
  await until(() => disk.tries > 2);
  assert.equal(disk.memory.size, 1);
  disk.full = false;
  assert.deepEqual(
    (await Promise.all([...waiting, later])).map(({ index }) => index),
    [1, 2, 3],
  );
  assert.deepEqual(await ready(), is('ready'));
  assert.deepEqual(told, ['disk-full', 'ready'], 'once each');
  assert.equal(disk.memory.size, 4);
  await hubCore.close();
});

test('a hub with a full disk can be closed, and what it could not write is refused', async () => {
  const { disk, store } = diskLog();
  const { hubCore, told } = await openOn(store);
  hubCore.begin();
  disk.full = true;
  const waiting = hubCore.sequencer.write(tick(1));
  await until(() => told.length > 0);
  const [lost] = await Promise.allSettled([waiting, hubCore.close()]);
  assert.equal(lost.status, 'rejected');
  assert.equal(disk.memory.size, 0);
});

test('a log that fails for another reason: the hub says that it ends', async () => {
  const { disk, store } = diskLog('write-failed');
  const { hubCore, ready, told } = await openOn(store);
  hubCore.begin();
  disk.full = true;
  await assert.rejects(() => hubCore.sequencer.write(tick(1)), { code: 'write-failed' });
  disk.full = false;
  await assert.rejects(() => hubCore.sequencer.write(tick(1)), { code: 'log-failed' });
  assert.deepEqual(await ready(), is('log-failed', 'this hub can no longer write its log'));
  assert.deepEqual(told, ['log-failed']);
  await hubCore.close();
});

test('below the floor of free space uploads are refused before a byte is held; events are not', async () => {
  let free_bytes = 50_000;
  const space = async () => ({ free_bytes, total_bytes: 1_000_000 });
  const { disk, store } = diskLog();
  const { hubCore, ask, ready, upload, told } = await openOn(store, { space });
  hubCore.begin();
  assert.equal((await upload(new Uint8Array(1000))).status, 201);
  const large = await upload(new Uint8Array(40_000));
  assert.equal(large.status, 507);
  const stranger = await upload(new Uint8Array(12_000));
  assert.match(stranger.body.error!.message, /for those who take part/, 'who takes no part leaves twice as much free');
  assert.equal(stranger.status, 507);
  assert.match(large.body.error!.message, /^this hub's disk has no room for 40000 bytes/);
  assert.deepEqual(await ready(), is('ready'), 'smaller ones are taken');
  free_bytes = 19_000;
  await until(async () => (await ready()).body.state === 'disk-low');
  assert.equal((await ask('/health')).status, 503);
  const small = await upload(new Uint8Array(10));
  assert.deepEqual([small.status, small.body.error?.code], [507, 'disk-full']);
  assert.equal((await hubCore.sequencer.write(tick(1))).index, 0);
  assert.equal(disk.memory.size, 1);
  free_bytes = 30_000;
  await until(async () => (await ready()).body.state === 'ready');
  assert.deepEqual(told, ['disk-low', 'ready']);
  await hubCore.close();
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(systemClock, 20);
}
