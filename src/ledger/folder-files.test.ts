// Public files in a folder and in memory: the suite of all, then what only a folder can suffer: killed writers, names that lead out, other file modes.
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openFolderFiles } from './folder-files.ts';
import { rejectsWith } from './testing/blob-store-compliance.ts';
import { memoryFiles } from './testing/memory-files.ts';
import { watchedFolder } from './testing/power-cut.ts';
import { publicFilesCompliance } from './testing/public-files-compliance.ts';

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'potluck-files-'));
});
after(() => rm(root, { recursive: true, force: true }));

publicFilesCompliance('folder', (place) => openFolderFiles(join(root, 'suite', String(place))));
const places = new Map<number, Map<string, Uint8Array>>();
publicFilesCompliance('memory', async (place) => {
  if (!places.has(place)) places.set(place, new Map());
  return memoryFiles(places.get(place)!);
});

test('no name leads out of the folder, or to what is written aside', async () => {
  const files = await openFolderFiles(join(root, 'names'));
  for (const name of ['', '/etc/passwd', '../up', 'a/../../up', 'a//b', 'a/', '.aside/x', 'a/.hidden', 'a\\b', 'a\0']) {
    await rejectsWith(files.create(name, Uint8Array.of(1)), 'malformed');
    await rejectsWith(files.replace(name, Uint8Array.of(1), 1), 'malformed');
    await rejectsWith(files.get(name), 'malformed');
    await rejectsWith(files.remove(name), 'malformed');
  }
});

test('a web server of another user can read every file', { skip: process.platform === 'win32' }, async () => {
  const folder = join(root, 'modes');
  const hub = join(root, 'private-blob');
  await writeFile(hub, Uint8Array.of(7), { mode: 0o600 });
  const files = await openFolderFiles(folder);
  await files.create('log/tile/0/000', Uint8Array.of(1));
  await files.replace('log/checkpoint', Uint8Array.of(2), 1);
  await files.adopt('blobs/aa', hub);
  for (const name of ['log', 'log/tile', 'log/tile/0/000', 'log/checkpoint', 'blobs', 'blobs/aa']) {
    const { mode } = await stat(join(folder, name));
    assert.equal(mode & 0o044, 0o044, `${name} has mode ${mode.toString(8)}`);
  }
});

test('a file is adopted without a second copy, once, and stays when its origin goes', async () => {
  const folder = join(root, 'adopted');
  const origin = join(root, 'origin');
  await writeFile(origin, 'bytes');
  const files = await openFolderFiles(folder);
  await files.adopt('blobs/ab', origin);
  await files.adopt('blobs/ab', origin);
  assert.equal((await stat(join(folder, 'blobs/ab'))).ino, (await stat(origin)).ino);
  await rm(origin);
  assert.equal(new TextDecoder().decode((await files.get('blobs/ab'))!), 'bytes');
  await rejectsWith(files.adopt('blobs/cd', origin), 'write-failed');
  assert.deepEqual(await files.list('blobs'), ['ab']);
  await files.remove('blobs/ab');
  await files.remove('blobs/ab');
  assert.deepEqual([await files.list('blobs'), await files.list('nothing')], [[], []]);
});

test('what was created is there after a power cut', async () => {
  const folder = join(root, 'cut');
  await mkdir(folder);
  const watched = await watchedFolder(folder);
  const files = await openFolderFiles(folder);
  await files.create('log/tile/0/000', new Uint8Array(8192).fill(1));
  await files.replace('log/checkpoint', Uint8Array.of(1), 1);
  await files.replace('log/checkpoint', Uint8Array.of(2), 1);
  const again = await openFolderFiles(await watched.cut());
  assert.deepEqual(await again.get('log/checkpoint'), Uint8Array.of(2));
  assert.deepEqual(await again.get('log/tile/0/000'), new Uint8Array(8192).fill(1));
});

test('what a killed writer left aside is removed; what a living one writes stays', async () => {
  const folder = join(root, 'leftovers');
  await openFolderFiles(folder);
  const dead = join(folder, '.aside', `${2 ** 22 + 1}-ab`);
  const living = join(folder, '.aside', `${process.pid}-cd`);
  for (const path of [dead, living]) await writeFile(path, 'half');
  await openFolderFiles(folder);
  assert.deepEqual(await readdir(join(folder, '.aside')), [`${process.pid}-cd`]);
});

test('a folder that cannot be written says so', {
  skip: process.getuid?.() === 0 && 'root may write anywhere',
}, async () => {
  const folder = join(root, 'read-only');
  const files = await openFolderFiles(folder);
  await chmod(folder, 0o500);
  await rejectsWith(files.create('log/tile/0/000', Uint8Array.of(1)), 'write-failed');
  await chmod(folder, 0o700);
});

test('a file in the place of the folder says so', async () => {
  const path = join(root, 'file');
  await writeFile(path, '');
  await rejectsWith(openFolderFiles(path), 'write-failed');
});
