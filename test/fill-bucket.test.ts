// A hub in a folder moves into a bucket, log and blobs, also where that breaks off on the way; its devices and its readers find the same hub.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Filled, fillBucket } from '../src/hub/fill-bucket.ts';
import { openHub } from '../src/hub/hub.ts';
import { openObjectJournal } from '../src/ledger/object-journal.ts';
import { type Receipt, verifyReceipt } from '../src/ledger/receipt.ts';
import { openS3 } from '../src/ledger/s3/client.ts';
import { s3Objects } from '../src/ledger/s3/objects.ts';
import { startS3Double } from '../src/ledger/testing/s3-double.ts';
import { sendEvent } from '../src/peer/send-event.ts';
import { eventId, signEvent } from '../src/protocol/envelope.ts';
import { createIdentity } from '../src/protocol/identity.ts';
import { tally } from '../src/simulation/tally-game.ts';
import { network } from './network.ts';
import { createRun, Life, peer } from './tally-run.ts';

async function bucketAndFolder(t: TestContext) {
  const double = await startS3Double();
  const folder = mkdtempSync(join(tmpdir(), 'potluck-fill-'));
  t.after(async () => {
    await double.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const { access_key_id, secret_access_key } = double;
  const place = { url: `${double.url}/${double.bucket}/hub`, access_key_id, secret_access_key };
  const ids = async (): Promise<string[]> => {
    const all: string[] = [];
    for await (const { entries } of openObjectJournal(s3Objects(openS3(place))).read(0)) {
      all.push(...entries.map(eventId));
    }
    return all;
  };
  const blobs = (): number => [...double.objects.keys()].filter((key) => key.includes('/blobs/')).length;
  return { double, folder, place, ids, blobs };
}

/** A hub of this process in a folder, with an event in its log. @returns its id */
async function hubWithEvent(folder: string): Promise<string> {
  const hub = await openHub({ folder, host: '127.0.0.1', port: 0, loadGame: async () => tally });
  const body = { type: 'account.address', version: 1, hub: hub.id, change: 0, chain: 'evm' } as const;
  await sendEvent(hub.url, await signEvent(createIdentity(), { ...body, address: `0x${'1'.repeat(40)}` }));
  await hub.close();
  return hub.id;
}

test('a hub that moves into a bucket between two rounds: its devices go on, and every receipt holds there', async (t) => {
  const { double, folder, place, ids, blobs } = await bucketAndFolder(t);
  const own = join(folder, 'hub');
  let life = new Life(own, 0);
  const leaving = new AbortController();
  t.after(async () => {
    leaving.abort();
    life.process.kill('SIGKILL');
    await life.ended;
  });
  const listening = (await life.line('listening'))!;
  const [url, hub] = [String(listening.url), String(listening.hub)];
  const promises = new Map<number, string>();
  const promised = (event: Uint8Array, receipt: Receipt): void =>
    void promises.set(verifyReceipt(receipt, event, hub).index, eventId(event));
  const run = await createRun(url, hub, folder);
  const peers = (['worker', 'worker', 'validator'] as const).map((role, i) =>
    peer(url, run, role, join(folder, `peer-${i}`), hub, promised, leaving.signal),
  );
  const merges = async (from: number): Promise<void> => {
    for (let at = from, merged = 0; merged < 2; at++) {
      const event = await life.line('event', at);
      assert.ok(event, 'the run has stopped');
      if (event.what === 'round.merged') merged++;
    }
  };
  await merges(0);
  await assert.rejects(fillBucket(own, place), { code: 'log-locked' });
  life.process.kill('SIGKILL');
  await life.ended;

  // It breaks off among the blobs.
  let puts = 3;
  double.onRequest = ({ method }, key) => {
    if (method === 'PUT' && key.includes('/blobs/') && puts-- <= 0) double.faults.busy_percent = 100;
  };
  await assert.rejects(fillBucket(own, place), { code: 'store-busy' });
  assert.deepEqual(
    [double.faults.busy_percent, [...double.objects.keys()].some((key) => key.includes('journal'))],
    [100, false],
  );
  double.onRequest = null;
  double.faults.busy_percent = 0;
  const done = (await fillBucket(own, place))!;
  assert.ok(done.blobs > 0 && done.known_blobs > 0 && done.size_bytes > 0, JSON.stringify(done));
  assert.equal(blobs(), done.blobs + done.known_blobs);
  assert.equal((await ids()).length, done.entries);
  assert.equal(await fillBucket(own, place), null);
  await assert.rejects(openHub({ folder: own, host: '127.0.0.1', port: 0, loadGame: async () => tally }), {
    code: 'store-unusable',
  });

  life = new Life(own, Number(new URL(url).port), place);
  assert.ok(await life.line('listening'), 'the hub did not start in its bucket');
  await merges(0);
  leaving.abort();
  await Promise.all(peers);
  life.process.kill('SIGTERM');
  await life.ended;
  assert.deepEqual(life.problems(), []);
  const there = await ids();
  assert.ok(there.length > done.entries);
  for (const [index, id] of promises) assert.equal(there[index], id, `the hub gave a receipt for event ${index}`);
});

test('a folder whose log is in no bucket is refused with what to do; the command does it, and starts', async (t) => {
  const { folder, place, ids, blobs } = await bucketAndFolder(t);
  const own = join(folder, 'hub');
  const hub = await hubWithEvent(own);
  await assert.rejects(openHub({ folder: own, host: '127.0.0.1', port: 0, loadGame: async () => tally, s3: place }), {
    code: 'bad-folder',
    message: /^the log in this folder, \d+ entries, is in no bucket: --fill-bucket moves it, and its blobs, to /,
  });
  assert.deepEqual([await ids(), blobs()], [[], 0]);
  const { access_key_id: AWS_ACCESS_KEY_ID, secret_access_key: AWS_SECRET_ACCESS_KEY } = place;
  const net = network(t, { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY });
  const without = net.start('hub', '--folder', own, '--fill-bucket');
  assert.equal(await without.ended, 1);
  assert.match(without.stderr(), /--fill-bucket: expected --s3 beside it, got none/);
  const words = ['hub', '--folder', own, '--port', '0', '--no-page', '--s3', place.url, '--fill-bucket', '--json'];
  const potluck = net.start(...words);
  const { bucket, copied } = (await potluck.line(({ type }) => type === 'filled')) as unknown as Said;
  assert.deepEqual([bucket, copied.entries, copied.blobs], [place.url, 1, 0]);
  assert.equal((await potluck.line(({ type }) => type === 'listening')).hub, hub);
});

interface Said {
  readonly bucket: string;
  readonly copied: Filled;
}

test('the bucket of another hub is left alone, and one that was never a hub’s becomes this one’s', async (t) => {
  const { double, folder, place, ids, blobs } = await bucketAndFolder(t);
  const [one, other] = [join(folder, 'one'), join(folder, 'other')];
  await hubWithEvent(one);
  await hubWithEvent(other);
  await fillBucket(one, place);
  const before = [await ids(), blobs()];
  await assert.rejects(fillBucket(other, place), { code: 'bad-folder', message: /it is that of hub [0-9a-f]{64}$/ });
  assert.deepEqual([await ids(), blobs()], before);
  // The key alone makes nobody the hub whose log is there.
  const third = join(folder, 'third');
  mkdirSync(third);
  copyFileSync(join(one, 'hub.key'), join(third, 'hub.key'));
  await hubWithEvent(third);
  await assert.rejects(fillBucket(third, place), { code: 'log-rewritten' });
  assert.deepEqual(await ids(), before[0]);
  assert.equal(double.faults.busy_percent, 0);
});
