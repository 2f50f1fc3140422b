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
import { type LogStore, MAX_WAITING_ENTRIES } from './log-store.ts';
import { mustBeDurable, openSqliteLogStore } from './sqlite-log-store.ts';
import { logStoreCompliance, throwsWith } from './testing/log-store-compliance.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-log-'));
after(() => rmSync(root, { recursive: true, force: true }));
let count = 0;
const newPath = () => join(root, `log-${count++}.sqlite`);
const paths = new WeakMap<LogStore, string>();
const open = (path = newPath()) => {
  const log = openSqliteLogStore(path);
  paths.set(log, path);
  return log;
};

logStoreCompliance('sqlite', open, async (log) => {
  await log.close();
  return open(paths.get(log));
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
  edited.exec('PRAGMA user_version = 2');
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
    await log.append(Array.from({ length: 10 }, (_, i) => Uint8Array.of(i)));
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
  const entries = Array.from({ length: MAX_WAITING_ENTRIES }, () => Uint8Array.of(1));
  const waiting = log.append(entries);
  await assert.rejects(
    log.append([Uint8Array.of(2)]),
    (error) => error instanceof LedgerError && error.code === 'overloaded',
  );
  assert.equal(await waiting, 0);
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
