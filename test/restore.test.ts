// Backup and restore as docs/operating.md has them: the files of a stopped hub, copied, are the same hub; what grew since is proven to be missing.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openPublicLog } from '#public-log-open';
import { Misbehaviour } from '../src/audit/continuation.ts';
import { witnessOnce } from '../src/audit/witness.ts';
import { type Hub, openHub } from '../src/hub/hub.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import { createIdentity } from '../src/protocol/identity.ts';

const owner = createIdentity();
const witness = createIdentity();

async function write(hub: Hub, change: number): Promise<void> {
  const address = `0x${String(change).padStart(40, '0')}`;
  const body = { type: 'account.address', version: 1, hub: hub.id, change, chain: 'evm', address } as const;
  const event = (await signEvent(owner, body)) as Uint8Array<ArrayBuffer>;
  assert.equal((await fetch(`${hub.url}/events`, { method: 'POST', body: event })).status, 201);
}

const headOf = async (hub: Hub) => (await (await fetch(`${hub.url}/log/checkpoint`)).text()).split('\n').slice(0, 3);

test('a folder that is put back is the same hub with the same log, and goes on', async (t: TestContext) => {
  const root = mkdtempSync(join(tmpdir(), 'potluck-restore-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const open = (name: string) => openHub({ folder: join(root, name), host: '127.0.0.1', port: 0 });
  const first = await open('hub');
  await write(first, 0);
  await write(first, 1);
  const head = await headOf(first);
  await first.close();
  mkdirSync(join(root, 'restored'));
  for (const name of ['blobs', 'hub.key', 'hub.sqlite']) {
    cpSync(join(root, 'hub', name), join(root, 'restored', name), { recursive: true });
  }

  const later = await open('hub');
  await write(later, 2);
  const seen = join(root, 'witness');
  await witnessOnce(await openPublicLog(later.url), witness, seen, 1);
  await later.close();

  const restored = await open('restored');
  t.after(() => restored.close());
  assert.equal(restored.id, first.id);
  assert.deepEqual(await headOf(restored), head);
  const log = await openPublicLog(restored.url);
  await assert.rejects(witnessOnce(log, witness, seen, 2), (error) => error instanceof Misbehaviour);
  await write(restored, 2);
  assert.equal((await headOf(restored))[1], '3');
});
