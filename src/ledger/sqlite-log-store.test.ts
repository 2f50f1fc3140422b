// The log in SQLite: the suite of all log stores, then locks, foreign and damaged files, full queues and damaged snapshots.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { LedgerError } from './errors.ts';
import { hashOfBatch, type Journal, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from './journal.ts';
import { batchesOf } from './local-log.ts';
import { type LogStore, MAX_WAITING_ENTRIES } from './log-store.ts';
import { openObjectJournal } from './object-journal.ts';
import { openReplica } from './replica.ts';
import { mustBeDurable } from './sqlite-log-file.ts';
import { openSqliteLocalLog, openSqliteLogStore } from './sqlite-log-store.ts';
import { journalCompliance } from './testing/journal-compliance.ts';
import { logStoreCompliance, throwsWith } from './testing/log-store-compliance.ts';
import { memoryObjects } from './testing/memory-objects.ts';
import { ownJournal } from './testing/own-journal.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-log-'));
after(() => rmSync(root, { recursive: true, force: true }));
let count = 0;
const newPath = () => join(root, `log-${count++}.sqlite`);
const paths = new WeakMap<LogStore, string>();
const journals = new WeakMap<LogStore, Journal>();
const open = (path = newPath()) => {
  const log = openSqliteLogStore(path);
  paths.set(log, path);
  return log;
};

logStoreCompliance('sqlite', open, async (log) => {
  await log.close();
  return open(paths.get(log));
});

logStoreCompliance(
  'sqlite, the copy of a journal',
  async () => {
    const path = newPath();
    const journal = openObjectJournal(memoryObjects(new Map()));
    const log = await openReplica(openSqliteLocalLog(path, 'copy'), journal);
    paths.set(log, path);
    journals.set(log, journal);
    return log;
  },
  async (log) => {
    await log.close();
    const [path, journal] = [paths.get(log)!, journals.get(log)!];
    const again = await openReplica(openSqliteLocalLog(path, 'copy'), journal);
    paths.set(again, path);
    journals.set(again, journal);
    return again;
  },
);

journalCompliance('sqlite, its own journal', () => {
  const local = openSqliteLocalLog(newPath());
  return () => ownJournal(local);
});

const MODULE = JSON.stringify(join(import.meta.dirname, 'sqlite-log-store.ts'));

test('a second process is told which file is in use, and gets it once the first is gone, however it went', async () => {
  const path = newPath();
  const log = openSqliteLogStore(path);
  await log.append([Uint8Array.of(1)]);
  const attempt = `import(${MODULE}).then((m) => { try { m.openSqliteLogStore(${JSON.stringify(path)}); console.log('opened'); }
    catch (error) { console.log(error.code, error.message); } process.exit(0); })`;
  const answer = execFileSync(process.execPath, ['-e', attempt], { encoding: 'utf8' });
  assert.match(answer, /^log-locked /);
  assert.ok(answer.includes(path));
  throwsWith(() => openSqliteLogStore(path), 'log-locked'); // Nor a second time in this process.
  await log.append([Uint8Array.of(2)]);
  await log.close();

  const hold = `import(${MODULE}).then((m) => { m.openSqliteLogStore(${JSON.stringify(path)}); console.log('held'); setInterval(() => {}, 1000); })`;
  const child = spawn(process.execPath, ['-e', hold], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  throwsWith(() => openSqliteLogStore(path), 'log-locked');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const again = openSqliteLogStore(path);
  assert.equal(again.size, 2);
  await again.close();
});

test('files that are no log', async () => {
  const text = newPath();
  writeFileSync(text, 'not a database, but longer than a hundred bytes. '.repeat(40));
  throwsWith(() => openSqliteLogStore(text), 'log-corrupt');
  const foreign = newPath();
  const db = new DatabaseSync(foreign);
  db.exec('CREATE TABLE photos (name TEXT)');
  db.close();
  throwsWith(() => openSqliteLogStore(foreign), 'log-corrupt');
  assert.equal(
    new DatabaseSync(foreign).prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n,
    1,
    'it was altered',
  );
  throwsWith(() => openSqliteLogStore(join(root, 'absent', 'folder', 'log.sqlite')), 'store-unusable');
  const future = newPath();
  await openSqliteLogStore(future).close();
  const edited = new DatabaseSync(future);
  edited.exec('PRAGMA user_version = 3');
  edited.close();
  throwsWith(() => openSqliteLogStore(future), 'log-unknown-version');
});

test('a store is opened only where a commit that is told has reached the disk', async () => {
  const path = newPath();
  await openSqliteLogStore(path).close();
  const db = new DatabaseSync(path);
  db.exec('PRAGMA synchronous = FULL');
  mustBeDurable(db, path);
  db.exec('PRAGMA synchronous = NORMAL');
  assert.throws(() => mustBeDurable(db, path), {
    code: 'store-unusable',
    message: /got journal_mode wal, synchronous 1/,
  });
  db.close();
  // SQLite keeps no write-ahead log of a database in memory, and says nothing about it.
  const memory = new DatabaseSync(':memory:');
  memory.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  assert.throws(() => mustBeDurable(memory, 'memory'), { code: 'store-unusable', message: /got journal_mode memory/ });
  memory.close();
});

test('entries that vanish behind its back are noticed', async () => {
  const edit = async (sql: string) => {
    const path = newPath();
    const log = openSqliteLogStore(path);
    await log.append(Array.from({ length: 8 }, (_, i) => Uint8Array.of(i)));
    await log.append([Uint8Array.of(8), Uint8Array.of(9)]);
    await log.close();
    const db = new DatabaseSync(path);
    db.exec(sql);
    db.close();
    return path;
  };
  const holed = openSqliteLogStore(await edit('DELETE FROM entries WHERE idx = 5'));
  assert.equal(holed.read(0, 5).length, 5);
  throwsWith(() => holed.read(0, 10), 'log-corrupt');
  await holed.close();
  const cut = await edit('DELETE FROM entries WHERE idx = 8');
  throwsWith(() => openSqliteLogStore(cut), 'log-corrupt');
  const beheaded = await edit('DELETE FROM entries WHERE idx = 0');
  throwsWith(() => openSqliteLogStore(beheaded), 'log-corrupt');
});

test('a file damaged at any place is a typed error or reads as written; never another exception', async () => {
  const path = newPath();
  const log = openSqliteLogStore(path);
  const entries = Array.from({ length: 200 }, (_, i) => new Uint8Array(100).fill(i));
  await log.append(entries);
  await log.close();
  const intact = readFileSync(path);
  let refused = 0;
  for (let page = 0; page < statSync(path).size / 4096; page++) {
    const damaged = newPath();
    const bytes = Buffer.from(intact);
    bytes.fill(0xff, page * 4096, page * 4096 + 64);
    writeFileSync(damaged, bytes);
    let opened: LogStore | undefined;
    try {
      opened = openSqliteLogStore(damaged);
      opened.read(0, opened.size);
    } catch (error) {
      assert.ok(error instanceof LedgerError, String(error));
      assert.ok(['log-corrupt', 'store-unusable'].includes(error.code), error.code);
      refused++;
    }
    await opened?.close();
  }
  assert.ok(refused > 0);
});

test('a damaged snapshot is told from the one before it', async () => {
  const path = newPath();
  const log = openSqliteLogStore(path);
  await log.append([Uint8Array.of(1), Uint8Array.of(2)]);
  log.putSnapshot('state', 1, Uint8Array.of(1));
  log.putSnapshot('state', 2, Uint8Array.of(2));
  await log.close();
  const db = new DatabaseSync(path);
  db.exec("UPDATE snapshots SET bytes = x'ff' WHERE size = 2");
  db.close();
  const again = openSqliteLogStore(path);
  assert.deepEqual(again.snapshots('state'), [
    { size: 2, bytes: null },
    { size: 1, bytes: Uint8Array.of(1) },
  ]);
  await again.close();
});

test('more than may wait is refused at once, and what already waits is kept', async () => {
  const log = openSqliteLogStore(newPath());
  const entries = Array.from({ length: MAX_BATCH_ENTRIES }, () => Uint8Array.of(1));
  const calls = Array.from({ length: MAX_WAITING_ENTRIES / MAX_BATCH_ENTRIES }, () => log.append(entries));
  await assert.rejects(
    log.append([Uint8Array.of(2)]),
    (error) => error instanceof LedgerError && error.code === 'overloaded',
  );
  assert.deepEqual(
    await Promise.all(calls),
    calls.map((_, i) => i * MAX_BATCH_ENTRIES),
  );
  assert.equal(await log.append([Uint8Array.of(2)]), MAX_WAITING_ENTRIES);
  await log.close();
});

test('a failed write refuses the call, keeps nothing of it, and says so from then on', async () => {
  const path = newPath();
  const log = openSqliteLogStore(path);
  await log.append([Uint8Array.of(0)]);
  // A trigger that refuses index 3 stands for a write that fails half-way through a commit.
  await log.close();
  const db = new DatabaseSync(path);
  db.exec(
    "CREATE TRIGGER refuse BEFORE INSERT ON entries WHEN new.idx = 3 BEGIN SELECT RAISE(ABORT, 'no space for 3'); END",
  );
  db.close();
  const again = openSqliteLogStore(path);
  assert.equal(await again.append([Uint8Array.of(1)]), 1);
  const calls = [again.append([Uint8Array.of(2), Uint8Array.of(3)]), again.append([Uint8Array.of(4)])];
  for (const call of calls) {
    await assert.rejects(call, (error) => error instanceof LedgerError && error.code === 'write-failed');
  }
  assert.equal(again.size, 2);
  await assert.rejects(
    again.append([Uint8Array.of(5)]),
    (error) => error instanceof LedgerError && error.code === 'write-failed',
  );
  assert.deepEqual(again.read(0, 2), [Uint8Array.of(0), Uint8Array.of(1)], 'what is there can still be read');
  await again.close();
  const last = openSqliteLogStore(path);
  assert.equal(last.size, 2);
  await last.close();
});

/** A file as builds before batches left it. */
function fileOfFormat1(entries: readonly Uint8Array[]): string {
  const path = newPath();
  const db = new DatabaseSync(path);
  db.exec(`
    CREATE TABLE entries (idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
    CREATE TABLE snapshots (
      name TEXT NOT NULL, size INTEGER NOT NULL, hash BLOB NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (name, size)
    ) STRICT;
    CREATE TABLE derived (key TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
    PRAGMA application_id = ${0x50744c6b};
    PRAGMA user_version = 1;
    BEGIN;
  `);
  const insert = db.prepare('INSERT INTO entries (idx, bytes) VALUES (?, ?)');
  for (const [i, entry] of entries.entries()) insert.run(i, entry);
  db.exec("INSERT INTO derived VALUES ('tile/0/0', x'0102'); COMMIT");
  db.close();
  return path;
}

test('a file of the format before batches opens with everything in it, goes on, and is a journal from its first entry on', async () => {
  const many = Array.from({ length: MAX_BATCH_ENTRIES + 5 }, (_, i) => Uint8Array.of(i >> 8, i));
  const large = Array.from({ length: 200 }, (_, i) => new Uint8Array(60_000).fill(i));
  for (const entries of [[], [Uint8Array.of(1)], many, large]) {
    const path = fileOfFormat1(entries);
    const log = openSqliteLogStore(path);
    assert.deepEqual(log.read(0, log.size), entries);
    assert.deepEqual(log.getDerived('tile/0/0'), Uint8Array.of(1, 2));
    assert.equal(await log.append([Uint8Array.of(7)]), entries.length);
    await log.close();
    const local = openSqliteLocalLog(path);
    const batches = [...batchesOf(local, 0)];
    const read = batches.flatMap((batch) => batch.entries);
    assert.deepEqual(read, [...entries, Uint8Array.of(7)]);
    for (const batch of batches) {
      assert.ok(batch.entries.length <= MAX_BATCH_ENTRIES);
      assert.ok(batch.entries.reduce((sum, entry) => sum + entry.length, 0) <= MAX_BATCH_BYTES);
    }
    assert.equal(batches.length, entries === many ? 3 : entries === large ? 4 : entries.length + 1);
    for (const { number } of batches) {
      const from = [...batchesOf(local, number)];
      assert.deepEqual(from.map(hashOfBatch), batches.slice(number).map(hashOfBatch));
    }
    local.close();
  }
});

test('the copy of a journal is written by way of it alone', async () => {
  const path = newPath();
  const journal = openObjectJournal(memoryObjects(new Map()));
  const log = await openReplica(openSqliteLocalLog(path, 'copy'), journal);
  await log.append([Uint8Array.of(1)]);
  await log.close();
  assert.throws(() => openSqliteLogStore(path), { code: 'store-unusable', message: /the copy of a journal elsewhere/ });
  const again = await openReplica(openSqliteLocalLog(path, 'copy'), journal);
  assert.equal(await again.append([Uint8Array.of(2)]), 1);
  await again.close();
});

test('a copy has larger pages than a log of its own, and one with small pages is still read', async () => {
  const pagesOf = (path: string): unknown => {
    const db = new DatabaseSync(path);
    const found = Object.values(db.prepare('PRAGMA page_size').get()!)[0];
    db.close();
    return found;
  };
  for (const [name, kind, bytes] of [
    ['pages-own', 'own', 4096],
    ['pages-copy', 'copy', 16_384],
    ['pages-own', 'copy', 4096],
  ] as const) {
    const path = join(root, `${name}.sqlite`);
    openSqliteLocalLog(path, kind).close();
    assert.equal(pagesOf(path), bytes, `${name} opened as ${kind}`);
  }
});
