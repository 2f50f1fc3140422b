// Small blobs in one file: what shares a commit, what others of the same folder see, what a kill, damage and a failed write leave, and what is read.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { sha256Hex } from '../protocol/hash.ts';
import { openFolderBlobStore } from './folder-blob-store.ts';
import { openSmallBlobs, SMALL_BLOB_BYTES, SMALL_BLOBS_FILE } from './small-blobs.ts';
import { allOf, rejectsWith } from './testing/blob-store-compliance.ts';
import { namesOfKilledWriter } from './testing/killed-writer.ts';

let root: string;
let count = 0;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'potluck-small-'));
});
after(() => rm(root, { recursive: true, force: true }));
const newFolder = () => join(root, `store-${count++}`);
const gathering = (dir: string) => openFolderBlobStore(dir, { gathers_small: true });
const blob = (fill: number, size = 100): Uint8Array => new Uint8Array(size).fill(fill);

test('what is put together is one commit, and none is there before it', async () => {
  const dir = newFolder();
  await mkdir(dir);
  const commits: (() => void)[] = [];
  const small = openSmallBlobs(join(dir, SMALL_BLOBS_FILE), { make: true, soon: (run) => void commits.push(run) });
  let resolved = 0;
  const hashes = [1, 2, 3].map((fill) => sha256Hex(blob(fill)));
  const puts = hashes.map((hash, i) => small.put(hash, blob(i + 1)).then(() => void resolved++));
  await Promise.resolve();
  assert.deepEqual([commits.length, resolved, small.get(hashes[0])], [1, 0, null]);
  commits[0]();
  await Promise.all(puts);
  assert.deepEqual(small.get(hashes[2]), blob(3));
  void small.put(hashes[0], blob(1));
  assert.equal(commits.length, 2, 'the next one is another commit');
  small.close();
});

test('small blobs are in the file, others are files; whoever opens the folder finds both, in order, and once', async () => {
  const dir = newFolder();
  const plain = await openFolderBlobStore(dir);
  const both = await plain.put(blob(0));
  assert.equal(await plain.get(sha256Hex(blob(1))), null);
  const store = await gathering(dir);
  const hashes = [await store.put(blob(0)), await store.put(blob(1)), await store.put(blob(2, SMALL_BLOB_BYTES))];
  const large = await store.put(blob(3, SMALL_BLOB_BYTES + 1));
  for (const one of [store, plain, await openFolderBlobStore(dir)]) {
    assert.deepEqual(await allOf(one.list()), [...hashes, large].sort());
    assert.deepEqual(await one.get(hashes[1]), blob(1));
    assert.equal(await one.sizeOf(large), SMALL_BLOB_BYTES + 1);
  }
  const files = (await readdir(dir, { recursive: true })).map((name) => name.slice(-64));
  assert.deepEqual(
    [both, hashes[1], large].map((hash) => files.includes(hash)),
    [true, false, true],
  );
  assert.equal(await plain.delete(both), true);
  assert.equal(await store.has(both), false, 'of what is in both places nothing stays');
});

test('of the same bytes that are put together the first is new, and later ones are not', async () => {
  const dir = newFolder();
  await mkdir(dir);
  const small = openSmallBlobs(join(dir, SMALL_BLOBS_FILE), { make: true });
  const hash = sha256Hex(blob(1));
  const puts = [1, 2, 1].map((fill) => small.put(sha256Hex(blob(fill)), blob(fill)));
  assert.deepEqual(await Promise.all(puts), [{ known: false }, { known: false }, { known: true }]);
  assert.deepEqual(await small.put(hash, blob(1)), { known: true });
  small.delete(hash);
  assert.deepEqual(await small.put(hash, blob(1)), { known: false });
  small.close();
});

test('a damaged one is never returned, and the right bytes repair it', async () => {
  const dir = newFolder();
  const store = await gathering(dir);
  const hash = await store.put(blob(5));
  const db = new DatabaseSync(join(dir, SMALL_BLOBS_FILE));
  db.prepare('UPDATE blobs SET bytes = ?').run(blob(6));
  db.close();
  await rejectsWith(store.get(hash), 'blob-corrupt');
  await rejectsWith(store.stream(hash), 'blob-corrupt');
  await rejectsWith(store.stream(hash, 0, 10), 'blob-corrupt');
  await store.put(blob(5));
  assert.deepEqual(await store.get(hash), blob(5));
});

test('a writer killed at any moment leaves every one that it has acknowledged, whole', async () => {
  const dir = newFolder();
  for (let kill = 0; kill < 3; kill++) {
    const names = await namesOfKilledWriter(dir, { gathers_small: true }, { least_bytes: 1000, after: 1 + 20 * kill });
    const store = await gathering(dir);
    for (const name of names) assert.ok(await store.get(name), `${name} was acknowledged and is lost`);
    for await (const name of store.list()) await store.get(name);
    store.close();
  }
});

test('after a write that failed nothing is acknowledged until the file is opened anew', async () => {
  const dir = newFolder();
  await mkdir(dir);
  const path = join(dir, SMALL_BLOBS_FILE);
  const small = openSmallBlobs(path, { make: true });
  await small.put(sha256Hex(blob(1)), blob(1));
  const other = new DatabaseSync(path);
  other.exec("CREATE TRIGGER fails BEFORE INSERT ON blobs BEGIN SELECT RAISE(ABORT, 'planted'); END");
  const puts = await Promise.allSettled([2, 3].map((fill) => small.put(sha256Hex(blob(fill)), blob(fill))));
  assert.deepEqual(
    puts.map((one) => one.status === 'rejected' && one.reason.code),
    ['store-unusable', 'store-unusable'],
  );
  other.exec('DROP TRIGGER fails');
  other.close();
  await rejectsWith(small.put(sha256Hex(blob(4)), blob(4)), 'store-unusable');
  assert.deepEqual([...small.names()], [sha256Hex(blob(1))]);
  small.close();
  const again = openSmallBlobs(path, { make: true });
  await again.put(sha256Hex(blob(4)), blob(4));
  assert.deepEqual(again.get(sha256Hex(blob(4))), blob(4));
  again.close();
});

test('only its owner reads it; a reader makes no file, and reads in a folder that nobody may write to', async () => {
  const dir = newFolder();
  await mkdir(dir);
  const path = join(dir, SMALL_BLOBS_FILE);
  const reader = openSmallBlobs(path, { make: false, read_only: true });
  const hash = sha256Hex(blob(1));
  assert.deepEqual(
    [reader.get(hash), reader.delete(hash), [...reader.names()], existsSync(path)],
    [null, false, [], false],
  );
  const small = openSmallBlobs(path, { make: true });
  await small.put(hash, blob(1));
  assert.deepEqual(reader.get(hash), blob(1), 'while it is open, and before it is in the main file');
  assert.throws(() => reader.delete(hash), { code: 'store-unusable' });
  if (process.platform !== 'win32') assert.equal((await stat(path)).mode & 0o777, 0o600);
  reader.close();
  small.close();
  await chmod(dir, 0o500);
  assert.deepEqual(openSmallBlobs(path, { make: false, read_only: true }).get(hash), blob(1));
  await chmod(dir, 0o700);
});

test('another file of that name is not touched', async () => {
  const dir = newFolder();
  await mkdir(dir);
  const path = join(dir, SMALL_BLOBS_FILE);
  const db = new DatabaseSync(path);
  db.exec('CREATE TABLE mine (it TEXT); PRAGMA user_version = 7');
  db.close();
  await rejectsWith(openSmallBlobs(path, { make: true }).put(sha256Hex(blob(1)), blob(1)), 'store-unusable');
  await writeFile(path, 'no database at all, but long enough to be looked at as one');
  await rejectsWith((await gathering(dir)).put(blob(1)), 'store-unusable');
});
