// Compliance tests for every PublicFiles. Each implementation's test file calls them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../protocol/hash.ts';
import type { PublicFiles } from '../public-files.ts';
import { entriesPath, tilePath } from '../tiles.ts';
import { rejectsWith } from './blob-store-compliance.ts';

/** @param open makes an empty place, and opens it again when it is called with the same number; the test file removes what it leaves behind */
export function publicFilesCompliance(name: string, open: (place: number) => Promise<PublicFiles>): void {
  const bytesOf = (fill: number, length = 8192): Uint8Array => new Uint8Array(length).fill(fill);

  test(`${name}: what was created is there, also for another handle, and what was not is not`, async () => {
    const files = await open(0);
    const names = [
      tilePath(0, 1_234_067),
      tilePath(0, 7, 5),
      tilePath(0, 7),
      entriesPath(0),
      entriesPath(1, 255),
      `blobs/${'ab'.repeat(32)}`,
    ].map((path) => (path.startsWith('tile') ? `log/${path}` : path));
    for (const path of names) assert.equal(await files.get(path), null);
    for (const [i, path] of names.entries()) await files.create(path, bytesOf(i));
    await files.create('empty', new Uint8Array(0));
    const again = await open(0);
    for (const [i, path] of names.entries()) assert.deepEqual(await again.get(path), bytesOf(i), path);
    assert.deepEqual(await again.get('empty'), new Uint8Array(0));
    assert.equal(await again.get('log/tile'), null, 'a folder is not a file');
    assert.equal(await again.get(`${names[0]}/below`), null, 'nothing is below a file');
  });

  test(`${name}: creating the same again does no harm; other bytes are refused, and change nothing`, async () => {
    const files = await open(1);
    await files.create('log/tile/0/000', bytesOf(1));
    await files.create('log/tile/0/000', bytesOf(1));
    await rejectsWith(files.create('log/tile/0/000', bytesOf(2)), 'file-differs');
    await rejectsWith(files.create('log/tile/0/000', bytesOf(1, 8191)), 'file-differs');
    await rejectsWith((await open(1)).create('log/tile/0/000', new Uint8Array(0)), 'file-differs');
    assert.deepEqual(await files.get('log/tile/0/000'), bytesOf(1));
  });

  test(`${name}: of those who create one name at once all succeed with the same bytes, and one content wins`, async () => {
    const handles = await Promise.all(Array.from({ length: 6 }, () => open(2)));
    await Promise.all(handles.map((files) => files.create('same', bytesOf(3))));
    assert.deepEqual(await handles[0].get('same'), bytesOf(3));
    const outcomes = await Promise.allSettled(handles.map((files, i) => files.create('other', bytesOf(i))));
    const won = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
    assert.equal(won.length, 1, JSON.stringify(outcomes));
    assert.deepEqual(await handles[0].get('other'), bytesOf(won[0]));
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'file-differs', String(outcome.reason));
    }
  });

  test(`${name}: a file that is replaced is always seen whole`, async () => {
    const files = await open(3);
    const note = (i: number): Uint8Array => utf8(`${i}\n`.repeat(1000 + i));
    await files.replace('log/checkpoint', note(0), 1);
    let over = false;
    const seen = new Set<number>();
    const reading = (async () => {
      const reader = await open(3);
      while (!over) {
        const text = new TextDecoder().decode((await reader.get('log/checkpoint'))!);
        const i = Number.parseInt(text, 10);
        assert.deepEqual(utf8(text), note(i));
        seen.add(i);
      }
    })();
    for (let i = 1; i <= 20; i++) await files.replace('log/checkpoint', note(i), 1);
    over = true;
    await reading;
    assert.ok(seen.size > 0);
    assert.deepEqual(await files.get('log/checkpoint'), note(20));
  });

  test(`${name}: where files can be removed, one is gone, once or twice, and its name is free`, async (t) => {
    const files = await open(4);
    if (!files.remove) return t.skip('these files stay');
    await files.create('log/tile/0/000.p/5', bytesOf(1, 160));
    await files.create('log/tile/0/000.p/6', bytesOf(1, 192));
    await files.remove('log/tile/0/000.p/5');
    await files.remove('log/tile/0/000.p/5');
    assert.equal(await files.get('log/tile/0/000.p/5'), null);
    assert.deepEqual(await files.get('log/tile/0/000.p/6'), bytesOf(1, 192));
    await files.create('log/tile/0/000.p/5', bytesOf(2, 160));
  });
}
