// The file of receipts survives what a process can meet: whatever it said that it has kept is there after SIGKILL, and a batch is noted whole.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openReceiptFile } from './receipt-file.ts';

const KILLED_AFTER = 25;
const CHILD = `
  import { openReceiptFile } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, 'receipt-file.ts')).href)};
  const file = openReceiptFile(process.argv[1]);
  for (let i = 0; ; i++) {
    file.put('part ' + i, new Uint8Array([i & 255]));
    console.log(i);
  }
`;

test('what a killed process has kept is there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-receipts-'));
  try {
    const path = join(folder, 'receipts.sqlite');
    const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    let told = -1;
    for await (const line of createInterface({ input: child.stdout })) {
      told = Number(line);
      if (told === KILLED_AFTER) child.kill('SIGKILL');
    }
    await ended;
    const file = openReceiptFile(path);
    const kept = [...file.waiting()];
    assert.ok(told >= KILLED_AFTER && kept.length > told, `${kept.length} are kept, ${told + 1} were told`);
    assert.deepEqual(kept.slice(0, 3), [Uint8Array.of(0), Uint8Array.of(1), Uint8Array.of(2)]);
    assert.ok(file.has(`part ${told}`));
    file.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a batch is noted whole or not at all, and its receipts wait no more', () => {
  const file = openReceiptFile(':memory:');
  for (const part of ['a', 'b', 'c']) file.put(part, new Uint8Array(1));
  assert.equal(file.next_batch, 0);
  file.settle({ number: 0, entry: 7, blob: 'x', parts: ['c', 'a', 'not here'] });
  assert.deepEqual([file.next_batch, [...file.waiting()].length], [1, 1]);
  assert.deepEqual({ ...file.placeOf('a') }, { batch: 0, place: 1, entry: 7, blob: 'x' });
  assert.deepEqual([file.placeOf('b'), file.has('not here')], [null, true]);
  // The same number again: nothing of it is noted.
  assert.throws(() => file.settle({ number: 0, entry: 8, blob: 'y', parts: ['b'] }));
  assert.deepEqual([file.placeOf('b'), [...file.waiting()].length], [null, 1]);
  assert.throws(() => file.put('a', new Uint8Array(1)));
  file.close();
});

test('it is private to its user from the beginning, and what is no such file is let go of', () => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-receipts-'));
  try {
    const path = join(folder, 'receipts.sqlite');
    const file = openReceiptFile(path);
    file.put('a', new Uint8Array(1));
    for (const name of [path, `${path}-wal`]) assert.equal(statSync(name).mode & 0o777, 0o600, name);
    file.close();
    const other = join(folder, 'other.sqlite');
    writeFileSync(other, 'not a database at all, however long one looks at it'.repeat(100));
    assert.throws(() => openReceiptFile(other), { code: 'ERR_SQLITE_ERROR' });
    const held = process.platform === 'linux' ? readdirSync('/proc/self/fd').map((fd) => linkOf(fd)) : [];
    assert.ok(!held.includes(other), 'the database is closed');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function linkOf(fd: string): string | null {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return null; // it was of the listing itself
  }
}
