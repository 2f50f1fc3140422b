// Blobs in a folder: the suite of all blob stores, then what only files can suffer: damage, leftovers, other processes, no permission.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { sha256Hex } from '../protocol/hash.ts';
import { openFolderBlobStore } from './folder-blob-store.ts';
import { allOf, blobStoreCompliance, rejectsWith } from './testing/blob-store-compliance.ts';
import { namesOfKilledWriter } from './testing/killed-writer.ts';
import { watchedFolder } from './testing/power-cut.ts';

let root: string;
let count = 0;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'potluck-blobs-'));
});
after(() => rm(root, { recursive: true, force: true }));
const newFolder = () => join(root, `store-${count++}`);
const pathOf = (dir: string, hash: string) => join(dir, hash.slice(0, 2), hash.slice(2, 4), hash);

blobStoreCompliance('folder', () => openFolderBlobStore(newFolder(), { max_blob_bytes: 100_000 }));
blobStoreCompliance('folder that gathers small blobs', () =>
  openFolderBlobStore(newFolder(), { max_blob_bytes: 100_000, gathers_small: true }),
);

test('blobs outlive the store that wrote them', async () => {
  const dir = newFolder();
  const hash = await (await openFolderBlobStore(dir)).put(Uint8Array.of(1, 2, 3));
  const again = await openFolderBlobStore(dir);
  assert.deepEqual(await again.get(hash), Uint8Array.of(1, 2, 3));
  assert.deepEqual(await allOf(again.list()), [hash]);
});

test('what was put is there after a power cut', async () => {
  const dir = newFolder();
  await mkdir(dir);
  const watched = await watchedFolder(dir);
  const store = await openFolderBlobStore(dir);
  const blobs = [1, 2, 3].map((fill) => new Uint8Array(500).fill(fill));
  const hashes = await Promise.all(blobs.map((bytes) => store.put(bytes)));
  const again = await openFolderBlobStore(await watched.cut());
  assert.deepEqual(await Promise.all(hashes.map((hash) => again.get(hash))), blobs);
});

test('a damaged blob is never returned; putting the right bytes again repairs it', async () => {
  const dir = newFolder();
  const store = await openFolderBlobStore(dir);
  const bytes = new Uint8Array(1_000).fill(5);
  const hash = await store.put(bytes);
  const flipped = bytes.slice();
  flipped[500] ^= 1;
  for (const damage of [
    () => writeFile(pathOf(dir, hash), flipped),
    () => truncate(pathOf(dir, hash), 999),
    () => truncate(pathOf(dir, hash), 0),
    () => writeFile(pathOf(dir, hash), new Uint8Array(1_001)),
  ]) {
    await damage();
    await rejectsWith(store.get(hash), 'blob-corrupt');
    await rejectsWith(store.stream(hash), 'blob-corrupt');
    await rejectsWith(store.stream(hash, 0, 10), 'blob-corrupt');
    assert.equal(await store.put(bytes), hash);
    assert.deepEqual(await store.get(hash), bytes);
  }
});

test('a file that its disk damages behind its time and size is never read to its end, and not believed afterwards', async () => {
  const dir = newFolder();
  const store = await openFolderBlobStore(dir);
  const bytes = new Uint8Array(200_000).fill(5);
  const hash = await store.put(bytes);
  const path = pathOf(dir, hash);
  await utimes(path, 1000, 1000);
  await allOf((await store.stream(hash))!);
  const flipped = bytes.slice();
  flipped[5] ^= 1;
  await writeFile(path, flipped);
  await utimes(path, 1000, 1000);
  const pieces: Uint8Array[] = [];
  const reading = async () => {
    for await (const piece of (await store.stream(hash))!) pieces.push(piece);
  };
  await rejectsWith(reading(), 'blob-corrupt');
  const { length } = Buffer.concat(pieces);
  assert.ok(length > 0 && length < bytes.length, 'it was believed, and found out in time');
  await rejectsWith(store.stream(hash, 0, 10), 'blob-corrupt');
  await store.put(bytes);
  assert.equal(Buffer.concat(await allOf((await store.stream(hash))!)).length, bytes.length);
});

test('whoever opens the store later finds what is damaged before a byte of it is read', async () => {
  const dir = newFolder();
  const hash = await (await openFolderBlobStore(dir)).put(new Uint8Array(100));
  await writeFile(pathOf(dir, hash), new Uint8Array(100).fill(1));
  await rejectsWith((await openFolderBlobStore(dir)).stream(hash, 5, 7), 'blob-corrupt');
});

test('what is read or written halfway is given back', { skip: process.platform !== 'linux' }, async () => {
  const dir = newFolder();
  const store = await openFolderBlobStore(dir);
  const hash = await store.put(new Uint8Array(300_000));
  const inUse = async (): Promise<number> => {
    const links = await Promise.all(
      (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
    );
    return links.filter((link) => link.startsWith(dir)).length;
  };
  for await (const _ of (await store.stream(hash))!) {
    assert.equal(await inUse(), 1);
    break;
  }
  const draft = store.draft();
  await draft.write(new Uint8Array(60_000));
  assert.equal(await inUse(), 0, 'what is small waits in memory');
  await draft.write(new Uint8Array(60_000));
  assert.equal(await inUse(), 1);
  await draft.discard();
  assert.equal(await inUse(), 0);
  assert.deepEqual(await readdir(join(dir, 'staging')), []);
});

test('only its owner reads what is kept', { skip: process.platform === 'win32' }, async () => {
  const dir = newFolder();
  const store = await openFolderBlobStore(dir);
  const path = pathOf(dir, await store.put(Uint8Array.of(1)));
  assert.deepEqual(
    await Promise.all([dir, join(path, '..'), path].map(async (one) => (await stat(one)).mode & 0o777)),
    [0o700, 0o700, 0o600],
  );
});

test('a blob that is put again counts as put now, however old its file is', async () => {
  const dir = newFolder();
  const store = await openFolderBlobStore(dir);
  const bytes = new Uint8Array(10).fill(4);
  const hash = await store.put(bytes);
  await utimes(pathOf(dir, hash), 1000, 1000);
  assert.equal(await store.putAt(hash), 1_000_000);
  await store.put(bytes);
  assert.ok((await store.putAt(hash))! > Date.now() - 60_000);
});

test('what a killed writer left behind is removed at opening; what a living one is writing is not', async () => {
  const dir = newFolder();
  await openFolderBlobStore(dir);
  const staging = join(dir, 'staging');
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  await once(child, 'spawn');
  await writeFile(join(staging, `${child.pid}-aaaaaaaaaaaa-0000000000000000`), 'half of a bl');
  await writeFile(join(staging, `${process.pid}-aaaaaaaaaaaa-0000000000000001`), 'an earlier process had our id');
  await writeFile(join(staging, 'something else'), '');
  await openFolderBlobStore(dir);
  assert.deepEqual(await readdir(staging), [`${child.pid}-aaaaaaaaaaaa-0000000000000000`]);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const store = await openFolderBlobStore(dir);
  assert.deepEqual(await readdir(staging), []);
  assert.deepEqual(await allOf(store.list()), []);
});

test('a writer killed at any moment leaves whole blobs under their names, and every acknowledged one', async () => {
  const dir = newFolder();
  for (let kill = 0; kill < 4; kill++) {
    const names = await namesOfKilledWriter(dir, {}, { least_bytes: 20_000, after: 1 + 7 * kill });
    const store = await openFolderBlobStore(dir);
    assert.ok(names.length > 0);
    for (const name of names) assert.ok(await store.get(name), `${name} was acknowledged and is lost`);
    for await (const name of store.list()) assert.equal(sha256Hex(await readFile(pathOf(dir, name))), name);
    assert.deepEqual(await readdir(join(dir, 'staging')), []);
  }
});

test('files that are no blobs are not listed', async () => {
  const dir = newFolder();
  const store = await openFolderBlobStore(dir);
  const hash = await store.put(Uint8Array.of(1));
  await writeFile(join(dir, 'README'), '');
  await writeFile(join(dir, hash.slice(0, 2), hash.slice(2, 4), 'notes.txt'), '');
  await mkdir(join(dir, 'zz'));
  assert.deepEqual(await allOf(store.list()), [hash]);
});

test('a folder that cannot be one', async () => {
  const file = newFolder();
  await writeFile(file, '');
  await rejectsWith(openFolderBlobStore(file), 'store-unusable');
  const dir = newFolder();
  const store = await openFolderBlobStore(dir);
  await rm(dir, { recursive: true });
  await writeFile(dir, '');
  await rejectsWith(store.put(Uint8Array.of(1)), 'store-unusable');
});

test('a thread that opens the folder leaves what its process is writing', async () => {
  const dir = newFolder();
  const store = await openFolderBlobStore(dir);
  const bytes = new Uint8Array(100_000).fill(7);
  const draft = store.draft();
  await draft.write(bytes);
  assert.equal((await readdir(join(dir, 'staging'))).length, 1);
  const file = new URL('./folder-blob-store.ts', import.meta.url);
  const opens = `import('${file}').then((ledger) => ledger.openFolderBlobStore(${JSON.stringify(dir)}))`;
  assert.deepEqual(await once(new Worker(opens, { eval: true }), 'exit'), [0]);
  assert.deepEqual(await draft.keep(), { known: false });
  assert.deepEqual(await store.get(sha256Hex(bytes)), bytes);
});
