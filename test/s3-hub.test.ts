// A hub whose truth is in a bucket: it is killed again and again, each time with its whole folder, and goes on from the bucket and its key.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { audit } from '../src/audit/local-audit.ts';
import { openMirror } from '../src/audit/public-log-mirror.ts';
import { decodeEvent } from '../src/core/codec.ts';
import { blobsNamedBy } from '../src/core/events.ts';
import { apply } from '../src/core/reduce.ts';
import { initialState } from '../src/core/state.ts';
import { openObjectJournal } from '../src/ledger/object-journal.ts';
import { type Receipt, verifyReceipt } from '../src/ledger/receipt.ts';
import { openS3 } from '../src/ledger/s3/client.ts';
import { s3Objects } from '../src/ledger/s3/objects.ts';
import { startS3Double } from '../src/ledger/testing/s3-double.ts';
import { eventId } from '../src/protocol/envelope.ts';
import { seededRandom } from '../src/protocol/random.ts';
import { createRun, Life, peer } from './tally-run.ts';

const KILLS = 2;

test('a hub whose machine is lost goes on from its bucket: nothing that it has acknowledged is lost', async (t) => {
  const random = seededRandom('a hub in a bucket', 0);
  const double = await startS3Double(() => random.below(1e6) / 1e6);
  const { access_key_id, secret_access_key } = double;
  const place = { url: `${double.url}/${double.bucket}/a-hub`, access_key_id, secret_access_key };
  const folder = mkdtempSync(join(tmpdir(), 'potluck-s3-hub-'));
  const folderOf = (life: number): string => join(folder, `machine-${life}`);
  let life = new Life(folderOf(0), 0, place);
  const leaving = new AbortController();
  t.after(async () => {
    leaving.abort();
    life.process.kill('SIGKILL');
    await life.ended;
    await double.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const listening = await life.line('listening');
  assert.ok(listening);
  const [url, hub] = [String(listening.url), String(listening.hub)];
  const port = Number(new URL(url).port);
  const promises = new Map<number, string>();
  const promised = (event: Uint8Array, receipt: Receipt): void =>
    void promises.set(verifyReceipt(receipt, event, hub).index, eventId(event));
  /** What comes from devices has no signature in its headers. */
  const fromDevices = new Map<string, number>();
  let told = 0;
  double.onRequest = ({ method = '', headers }) => {
    if (headers.authorization) return;
    fromDevices.set(method, (fromDevices.get(method) ?? 0) + 1);
    if (headers['x-potluck-signature'] || (method === 'PUT' && headers['x-potluck-peer'])) told++;
  };
  const run = await createRun(url, hub, folder);
  const peers = (['worker', 'worker', 'validator'] as const).map((role, i) =>
    peer(url, run, role, join(folder, `peer-${i}`), hub, promised, leaving.signal),
  );
  Object.assign(double.faults, { busy_percent: 3, lost_percent: 3, conflict_percent: 3 });

  for (let kill = 1; kill <= KILLS; kill++) {
    await life.line('event', 5 + random.below(12), 5000);
    await wait(random.below(30));
    life.process.kill('SIGKILL');
    await life.ended;
    assert.deepEqual(life.problems(), []);
    // Another machine: nothing but the key.
    mkdirSync(folderOf(kill));
    copyFileSync(join(folderOf(0), 'hub.key'), join(folderOf(kill), 'hub.key'));
    life = new Life(folderOf(kill), port, place);
    assert.ok(await life.line('listening'), 'the hub did not start again');
  }
  // And it goes on, in peace.
  for (let at = 0, merged = 0; merged < 2; at++) {
    const event = await life.line('event', at);
    assert.ok(event, 'the run has stopped');
    if (event.what === 'round.merged') merged++;
  }
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const down = /^potluck_blob_bytes_total\{direction="down"\} (\d+)/m.exec(metrics)?.[1] ?? '0';
  assert.equal(down, '0', 'no blob that a device reads passes the hub');
  leaving.abort();
  await Promise.all(peers);
  life.process.kill('SIGTERM');
  await life.ended;
  assert.deepEqual(life.problems(), []);
  Object.assign(double.faults, { busy_percent: 0, lost_percent: 0, conflict_percent: 0 });

  const s3 = openS3(place);
  const state = initialState(hub);
  const ids: string[] = [];
  for await (const batch of openObjectJournal(s3Objects(s3)).read(0)) {
    for (const bytes of batch.entries) {
      const event = decodeEvent(bytes);
      assert.equal(apply(state, event), null, `event ${ids.length}, ${event.body.type}`);
      ids.push(eventId(bytes));
      const kept = event.body.type === 'work.submitted' || event.body.type === 'verdict.given';
      if (kept) for (const hash of blobsNamedBy(event.body)) assert.ok(await s3.head(`blobs/${hash}`), `blob ${hash}`);
    }
  }
  assert.ok(promises.size > 10);
  assert.ok(fromDevices.get('PUT')! >= 2, "the run's owner has uploaded to the bucket");
  assert.ok(fromDevices.get('GET')! > 5, 'devices have read from the bucket');
  assert.equal(told, 0, 'the bucket is told nothing that is for the hub');
  for (const [index, id] of promises) assert.equal(ids[index], id, `the hub gave a receipt for event ${index}`);
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(!existsSync(join(folderOf(KILLS), 'blobs')), 'no blobs are kept on the machine');

  // The bucket alone, as a CDN shows it: nobody is left who could be asked.
  const shown = createServer(({ url: path = '' }, response) => {
    const object = double.objects.get(`a-hub${path}`);
    response.writeHead(object ? 200 : 404).end(object?.bytes);
  });
  await new Promise<void>((resolve) => shown.listen(0, '127.0.0.1', resolve));
  t.after(() => shown.close());
  const mirror = await openMirror(`http://127.0.0.1:${(shown.address() as AddressInfo).port}`, hub);
  const report = await audit(mirror, { models: false, threads: 0 });
  assert.deepEqual([report.events, report.runs], [ids.length, 1]);
  t.diagnostic(
    `${KILLS} machines lost: ${ids.length} events, ${promises.size} receipts, ${state.runs.get(run)!.round} rounds`,
  );
});
