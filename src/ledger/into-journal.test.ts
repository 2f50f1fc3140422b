// A log moves into a journal: all of it, once, whatever breaks off; and is then the journal's copy, which nobody writes without it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { moveIntoJournal } from './into-journal.ts';
import { EMPTY_JOURNAL, endAfter, type Journal, MAX_BATCH_ENTRIES } from './journal.ts';
import { openObjectJournal } from './object-journal.ts';
import { openReplica } from './replica.ts';
import { openSqliteLocalLog, openSqliteLogStore } from './sqlite-log-store.ts';
import { memoryObjects } from './testing/memory-objects.ts';

/** A log of its own with these entries, written one by one or in batches of `together`. */
async function ownLog(t: TestContext, entries: readonly Uint8Array[], together = 1): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-into-journal-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'hub.sqlite');
  const store = openSqliteLogStore(path);
  for (let at = 0; at < entries.length; at += together) await store.append(entries.slice(at, at + together));
  await store.close();
  return path;
}

const drawn = (count: number, size_bytes = 20): Uint8Array[] =>
  Array.from({ length: count }, () => new Uint8Array(randomBytes(size_bytes)));

async function move(path: string, journal: Journal): Promise<number[]> {
  const local = openSqliteLocalLog(path);
  const moved: number[] = [];
  try {
    await moveIntoJournal(local, journal, (entries) => moved.push(entries));
  } finally {
    local.close();
  }
  return moved;
}

async function entriesOf(journal: Journal): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const batch of journal.read(0)) all.push(...batch.entries);
  return all;
}

test('all entries are in as few batches as hold them, and the log goes on in the journal alone', async (t) => {
  const entries = drawn(MAX_BATCH_ENTRIES + 3);
  const path = await ownLog(t, entries, 700);
  const journal = openObjectJournal(memoryObjects(new Map()));
  assert.deepEqual(await move(path, journal), [MAX_BATCH_ENTRIES, entries.length]);
  assert.deepEqual(await entriesOf(journal), entries);
  assert.throws(() => openSqliteLogStore(path), { code: 'store-unusable' });
  const replica = await openReplica(openSqliteLocalLog(path, 'copy'), journal);
  assert.equal(await replica.append(drawn(1)), entries.length);
  assert.deepEqual(replica.read(0, entries.length), entries);
  await replica.close();
  assert.equal((await entriesOf(journal)).length, entries.length + 1);
});

test('batches are bounded by their bytes, too', async (t) => {
  const entries = drawn(100, 60_000);
  const journal = openObjectJournal(memoryObjects(new Map()));
  const moved = await move(await ownLog(t, entries, 40), journal);
  assert.ok(moved.length > 1 && moved.length < 4, String(moved));
  assert.deepEqual(await entriesOf(journal), entries);
});

test('after a batch without an answer the log is its own still, takes more, and moves on from where it was', async (t) => {
  const entries = drawn(30, 600_000 / 10);
  const path = await ownLog(t, entries);
  const objects = memoryObjects(new Map());
  let left = 1;
  const failing = openObjectJournal(
    {
      ...objects,
      async create(name, bytes) {
        if (left-- > 0) return objects.create(name, bytes);
        throw new Error('away');
      },
    },
    { wait: async () => {}, patience_ms: 0 },
  );
  const many = [...entries, ...drawn(60, 60_000)];
  const own = openSqliteLogStore(path);
  await own.append(many.slice(entries.length));
  await own.close();
  await assert.rejects(move(path, failing), { code: 'write-failed' });
  const more = drawn(2);
  const still = openSqliteLogStore(path);
  await still.append(more);
  await still.close();
  const journal = openObjectJournal(objects);
  await move(path, journal);
  assert.deepEqual(await entriesOf(journal), [...many, ...more]);
});

test('a journal that has another log, or more of it, is refused, and both stay as they are', async (t) => {
  const entries = drawn(5);
  const path = await ownLog(t, entries);
  for (const there of [drawn(5), [...entries, ...drawn(1)], [...entries.slice(0, 4), ...drawn(1)]]) {
    const journal = openObjectJournal(memoryObjects(new Map()));
    await journal.append({ ...EMPTY_JOURNAL, entries: there });
    await assert.rejects(move(path, journal), { code: 'log-rewritten' });
    assert.deepEqual(await entriesOf(journal), there);
  }
  const own = openSqliteLogStore(path);
  assert.deepEqual(own.read(0, 5), entries);
  await own.close();
});

test('batches that were there before stay the journal’s, however they divide', async (t) => {
  const entries = drawn(9);
  const path = await ownLog(t, entries, 4);
  const journal = openObjectJournal(memoryObjects(new Map()));
  const first = { ...EMPTY_JOURNAL, entries: entries.slice(0, 2) };
  await journal.append(first);
  await journal.append({ ...endAfter(first), entries: entries.slice(2, 3) });
  await move(path, journal);
  const local = openSqliteLocalLog(path, 'copy');
  t.after(() => local.close());
  assert.deepEqual(
    [...local.batches(0)].map(({ number, first: at }) => [number, at]),
    [
      [0, 0],
      [1, 2],
      [2, 3],
    ],
  );
});

test('an empty log moves as an empty journal', async (t) => {
  const journal = openObjectJournal(memoryObjects(new Map()));
  assert.deepEqual(await move(await ownLog(t, []), journal), []);
  assert.deepEqual(await entriesOf(journal), []);
});
