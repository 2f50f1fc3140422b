// A mirror in a folder: the blobs that the log names come before the head that names them, go when the hub deletes them, and nothing of the hub's own is served.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { EventBody } from '../core/events.ts';
import { ANY_HASH, createdWith, mergedWith, workWith } from '../core/testing/naming-events.ts';
import { openFolderBlobStore } from '../ledger/folder-blob-store.ts';
import { SMALL_BLOB_BYTES } from '../ledger/small-blobs.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { encodeModelManifest } from '../model/tensor-manifest.ts';
import { systemClock } from '../protocol/clock.ts';
import { signEvent } from '../protocol/envelope.ts';
import { utf8 } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { openCosignatures } from './cosignatures.ts';
import { HubError } from './errors.ts';
import { openHub } from './hub.ts';
import { openFolderMirror } from './mirror-folder.ts';

const author = createIdentity();

async function place(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), 'potluck-mirror-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const hub_folder = join(root, 'hub');
  const folder = join(root, 'public');
  const blobs = await openFolderBlobStore(join(hub_folder, 'blobs'), { gathers_small: true });
  t.after(() => blobs.close());
  const identity = createIdentity();
  const log = openTransparencyLog(createMemoryLogStore(), identity);
  const told: string[] = [];
  let ahead_ms = 0;
  const clock = { ...systemClock, elapsed_ms: () => performance.now() + ahead_ms };
  const onError = (error: unknown, where: string) => void told.push(`${where}: ${error}`);
  const cosignatures = openCosignatures(identity.id);
  const open = () =>
    openFolderMirror(folder, { hub: identity.id, hub_folder, log, blobs, cosignatures, clock, onError });
  return {
    ...{ root, folder, hub_folder, blobs, told, open },
    /** Publishes what there is. */
    async publish() {
      await (await open()).close();
    },
    add: async (...bodies: EventBody[]) =>
      void (await log.append(await Promise.all(bodies.map((b) => signEvent(author, b))))),
    later(by_ms: number) {
      ahead_ms += by_ms;
    },
    put: (text: string, size = 10) => blobs.put(utf8(text.padEnd(size))),
    names: () => readdir(join(folder, 'blobs')).then((names) => names.sort()),
  };
}

test('what events name is there, also what settings and models name, small or large, and no other upload', async (t) => {
  const { publish, add, put, names, folder, hub_folder, blobs } = await place(t);
  const text = await put('a piece of text', SMALL_BLOB_BYTES + 1);
  const manifest = await put(`{"pieces":["${text}"]}`);
  const params = await put(`{"data":"${manifest}"}`);
  const model = await put('a model', SMALL_BLOB_BYTES + 1);
  await put('an upload that nothing names');
  await add(createdWith(params, model), workWith(await put('work')));
  await publish();
  const first = await names();
  assert.deepEqual(first, [text, manifest, params, model, await put('work')].sort());
  for (const name of first)
    assert.deepEqual(new Uint8Array(await readFile(join(folder, 'blobs', name))), await blobs.get(name));
  const own = join(hub_folder, 'blobs', text.slice(0, 2), text.slice(2, 4), text);
  assert.equal(
    (await stat(join(folder, 'blobs', text))).ino,
    (await stat(own)).ino,
    'a large one takes no second place',
  );

  const part = await put('a part of a model', SMALL_BLOB_BYTES + 1);
  const tensors = [{ name: 'weight', dtype: 'i8' as const, shape: [SMALL_BLOB_BYTES + 1] }];
  const whole = await blobs.put(encodeModelManifest({ tensors, parts: [part] }));
  await add(mergedWith(ANY_HASH, whole, true));
  await publish();
  assert.deepEqual(await names(), [...first, part, whole].sort());
});

test('what the hub has deleted is removed after a while, and what it never had keeps nothing back', async (t) => {
  const { publish, add, put, names, blobs, later, open, told } = await place(t);
  const [stays, goes] = [await put('stays'), await put('goes')];
  await add(workWith(stays), workWith(goes), workWith('b'.repeat(64)));
  await publish();
  await blobs.delete(goes);
  const mirror = await open();
  later(11 * 60_000);
  await mirror.close();
  assert.deepEqual([await names(), told], [[stays], []]);
});

test('the folder of the hub, or one above it, is not served', async (t) => {
  const { root, hub_folder } = await place(t);
  for (const mirror_folder of [hub_folder, root]) {
    const opening = openHub({ folder: hub_folder, mirror_folder, host: '127.0.0.1', port: 0 });
    await assert.rejects(opening, (error) => error instanceof HubError && error.code === 'bad-folder');
  }
  const hub = await openHub({
    ...{ folder: hub_folder, mirror_folder: join(hub_folder, 'public'), host: '127.0.0.1', port: 0 },
  });
  await hub.close();
  assert.deepEqual((await readdir(join(hub_folder, 'public', 'log'))).includes('checkpoint'), true);
});
