// A hub on a bucket that fails, or that is not its own: nothing is acknowledged that is not there, what waits is written once, and what is wrong is said.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { ConditionChange } from '../src/hub/condition.ts';
import { type Hub, openHub } from '../src/hub/hub.ts';
import { openObjectJournal } from '../src/ledger/object-journal.ts';
import { openS3 } from '../src/ledger/s3/client.ts';
import { s3Objects } from '../src/ledger/s3/objects.ts';
import { startS3Double } from '../src/ledger/testing/s3-double.ts';
import { sendEvent } from '../src/peer/send-event.ts';
import { eventId, signEvent } from '../src/protocol/envelope.ts';
import { createIdentity } from '../src/protocol/identity.ts';
import { tally } from '../src/simulation/tally-game.ts';
import { runOf } from './tally-run.ts';

/** A bucket, folders, and hubs on them that are closed when the test is over. */
async function opened(t: TestContext) {
  const double = await startS3Double();
  const root = mkdtempSync(join(tmpdir(), 'potluck-s3-faults-'));
  const hubs: Hub[] = [];
  t.after(async () => {
    Object.assign(double.faults, { busy_percent: 0, conflict_percent: 0 });
    for (const hub of hubs) await hub.close();
    await double.stop();
    rmSync(root, { recursive: true, force: true });
  });
  const { access_key_id, secret_access_key } = double;
  const s3 = { url: `${double.url}/${double.bucket}/hub`, access_key_id, secret_access_key };
  const conditions: ConditionChange[] = [];
  const open = async (name: string, more = { s3 } as { s3?: typeof s3 }) => {
    const folder = join(root, name);
    const onCondition = (change: ConditionChange): void => void conditions.push(change);
    const hub = await openHub({
      folder,
      host: '127.0.0.1',
      port: 0,
      loadGame: async () => tally,
      onCondition,
      ...more,
    });
    hubs.push(hub);
    return hub;
  };
  const ids = async (): Promise<string[]> => {
    const all: string[] = [];
    for await (const { entries } of openObjectJournal(s3Objects(openS3(s3))).read(0)) all.push(...entries.map(eventId));
    return all;
  };
  return { double, root, s3, open, ids, conditions };
}

/** Hands in another run of an owner, whose blobs are there; resolves to its event's id. */
async function another(hub: Hub, root: string): Promise<{ event: Uint8Array; sent: Promise<string> }> {
  const owner = createIdentity();
  const event = await signEvent(owner, await runOf(hub.url, hub.id, root, owner));
  return { event, sent: sendEvent(hub.url, event) };
}

test('a bucket that takes no batch for a while: nothing is acknowledged meanwhile, everything afterwards, once', async (t) => {
  const { double, root, open, ids, conditions } = await opened(t);
  const hub = await open('hub');
  await (await another(hub, root)).sent;
  const before = await ids();
  double.faults.conflict_percent = 100;
  let acknowledged = false;
  const { event, sent } = await another(hub, root);
  const told = sent.finally(() => (acknowledged = true));
  await wait(2500);
  assert.equal(acknowledged, false);
  assert.deepEqual(await ids(), before);
  double.faults.conflict_percent = 0;
  assert.equal(await told, eventId(event));
  assert.equal((await ids()).filter((id) => id === eventId(event)).length, 1);
  assert.deepEqual(conditions, []);
});

test('a bucket that refuses everything: an event whose blobs cannot be looked at is refused for now, in words', async (t) => {
  const { double, root, open, ids } = await opened(t);
  const hub = await open('hub');
  const first = await another(hub, root);
  await first.sent;
  const owner = createIdentity();
  const event = await signEvent(owner, await runOf(hub.url, hub.id, root, owner));
  double.faults.busy_percent = 100;
  const answer = await fetch(`${hub.url}/events`, { method: 'POST', body: event as Uint8Array<ArrayBuffer> });
  const { error } = (await answer.json()) as { error: { code: string; message: string } };
  assert.deepEqual([answer.status, error.code], [503, 'store-busy']);
  assert.match(error.message, /does not answer in time; send it again/);
  double.faults.busy_percent = 0;
  assert.equal(await sendEvent(hub.url, event), eventId(event));
  assert.equal((await ids()).filter((id) => id === eventId(event)).length, 1);
});

test('a second hub with the same key and bucket takes over; the first one hears it at its next event, and ends', async (t) => {
  const { root, open, ids, conditions } = await opened(t);
  const first = await open('first');
  const one = await another(first, root);
  await one.sent;
  mkdirSync(join(root, 'second'));
  copyFileSync(join(root, 'first', 'hub.key'), join(root, 'second', 'hub.key'));
  const second = await open('second');
  const two = await another(second, root);
  await two.sent;
  const lost = await another(first, root);
  await assert.rejects(lost.sent);
  assert.deepEqual(
    conditions.map(({ state }) => state),
    ['log-failed'],
  );
  const all = await ids();
  for (const { event } of [one, two]) assert.equal(all.filter((id) => id === eventId(event)).length, 1);
  assert.ok(!all.includes(eventId(lost.event)));
});

test('a bucket of another hub, and a folder whose log is not in the bucket, are refused in one line', async (t) => {
  const { root, s3, open } = await opened(t);
  await (await another(await open('hub'), root)).sent;
  const says = (words: RegExp) => (error: Error) => {
    assert.match(error.message, words);
    assert.ok(!error.message.includes('\n'));
    return true;
  };
  await assert.rejects(open('stranger'), says(/expected the bucket of hub [0-9a-f]{64}, whose key is hub.key/));
  const own = await open('own', {});
  await (await another(own, root)).sent;
  await own.close();
  copyFileSync(join(root, 'hub', 'hub.key'), join(root, 'own', 'hub.key'));
  await assert.rejects(open('own'), says(/is in no bucket: --fill-bucket moves it/));
  await assert.rejects(open('wrong', { s3: { ...s3, secret_access_key: 'x' } }), says(/expected the secret key/));
});
