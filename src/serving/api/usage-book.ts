// How much each key asked, by day and model, in a file that a restart finds again. It says nothing of what was asked or answered.
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Clock, Timer } from '../../protocol/clock.ts';
import { makePrivateFile, makePrivateFolder } from '../../protocol/private-files.ts';
import { addedUp, COUNTED, NOTHING, type UsageCounts } from './usage-form.ts';

export const USAGE_LIMITS = {
  days: 400, // a year, and some weeks in which people look at it
  write_ms: 2000, // what was counted since then is lost with a process that is killed
  waiting: 10_000, // rows in memory while the file cannot be written; what comes beyond is not counted
  locked_ms: 100, // how long another process that writes the same file may hold this one up
} as const;

export interface UsageRow extends UsageCounts {
  /** In UTC, as in 2026-11-29. */
  readonly day: string;
  /** The id of a key. */
  readonly key: string;
  /** Empty for requests that were refused before they named one. */
  readonly model: string;
}

/** Which rows: of this key, or of all, since this day. */
export interface UsageQuery {
  readonly key: string | null;
  readonly since: string;
}

export interface UsageBook {
  add(key: string, model: string, counts: Partial<UsageCounts>): void;
  /** The newest day first; also what is not written yet. */
  rows(query: UsageQuery): UsageRow[];
  close(): void;
}

const DAY_MS = 86_400_000;

/** The day, in UTC, so many days before a moment. */
export const dayBefore = (now_ms: number, days: number): string =>
  new Date(now_ms - days * DAY_MS).toISOString().slice(0, 10);

/**
 * Opens the file, or makes it for this user alone. Several processes may keep the same one. What is counted reaches it after USAGE_LIMITS.write_ms;
 * `onError` gets what keeps it from being written, once, and the next attempt takes it along. Throws the file system's or SQLite's error.
 */
export function openUsageBook(path: string, clock: Clock, onError: (error: unknown) => void): UsageBook {
  const db = openFile(path);
  const sums = COUNTED.map((name) => `${name} = ${name} + excluded.${name}`).join(', ');
  const put = db.prepare(
    `INSERT INTO usage (day, key, model, ${COUNTED.join(', ')}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (day, key, model) DO UPDATE SET ${sums}`,
  );
  const forget = db.prepare('DELETE FROM usage WHERE day < ?');
  /** Not written yet, by day, key and model. */
  let waiting = new Map<string, UsageRow>();
  let forgotten = '';
  /** Why it is not written, as told: a full disk stays full, and what tells of it may have to be written as well. */
  let told = '';
  let timer: Timer;

  const write = (): void => {
    clock.clearTimeout(timer);
    timer = undefined;
    if (waiting.size === 0) return;
    const oldest = dayBefore(clock.now_ms(), USAGE_LIMITS.days);
    try {
      db.exec('BEGIN IMMEDIATE');
      try {
        for (const row of waiting.values()) put.run(row.day, row.key, row.model, ...COUNTED.map((name) => row[name]));
        if (forgotten !== oldest) forget.run(oldest);
        db.exec('COMMIT');
      } catch (error) {
        db.exec('ROLLBACK');
        throw error;
      }
      forgotten = oldest;
      told = '';
      waiting = new Map();
    } catch (error) {
      timer = clock.setTimeout(write, USAGE_LIMITS.write_ms);
      const why = String(error);
      if (why !== told) onError(error);
      told = why;
    }
  };

  return {
    add(key, model, counts) {
      const day = dayBefore(clock.now_ms(), 0);
      const at = `${day} ${key} ${model}`;
      const before = waiting.get(at);
      if (!before && waiting.size >= USAGE_LIMITS.waiting) return;
      const row: UsageRow = before ?? { day, key, model, ...NOTHING };
      waiting.set(at, { ...row, ...addedUp(row, { ...NOTHING, ...counts }) });
      timer ??= clock.setTimeout(write, USAGE_LIMITS.write_ms);
    },
    rows(query) {
      write();
      const written = rowsIn(db, query);
      if (waiting.size === 0) return written;
      const found = [...waiting.values()].filter(({ day, key }) => day >= query.since && (query.key ?? key) === key);
      return merged([...written, ...found]);
    },
    close() {
      write();
      clock.clearTimeout(timer);
      db.close();
    },
  };
}

/** What a file holds, for whoever does not write it; nothing where there is none. Throws SQLite's error. */
export function readUsage(path: string, query: UsageQuery): UsageRow[] {
  if (!existsSync(path)) return [];
  const db = new DatabaseSync(path, { readOnly: true, timeout: USAGE_LIMITS.locked_ms });
  try {
    return rowsIn(db, query);
  } finally {
    db.close();
  }
}

/** Rows of the same day, key and model as one. */
function merged(rows: readonly UsageRow[]): UsageRow[] {
  const found = new Map<string, UsageRow>();
  for (const row of rows) {
    const at = `${row.day} ${row.key} ${row.model}`;
    const before = found.get(at);
    found.set(at, before ? { ...row, ...addedUp(before, row) } : row);
  }
  return [...found.values()].sort((a, b) => (a.day < b.day ? 1 : a.day > b.day ? -1 : 0));
}

function rowsIn(db: DatabaseSync, { key, since }: UsageQuery): UsageRow[] {
  const rows = db
    .prepare(
      `SELECT day, key, model, ${COUNTED.join(', ')} FROM usage WHERE day >= ? AND (? IS NULL OR key = ?) ORDER BY day DESC, key, model`,
    )
    .all(since, key, key);
  return rows.map((row) => ({ ...row })) as unknown as UsageRow[];
}

function openFile(path: string): DatabaseSync {
  makePrivateFolder(dirname(path));
  makePrivateFile(path); // SQLite would make it readable by others
  const db = new DatabaseSync(path, { timeout: USAGE_LIMITS.locked_ms });
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
  const counts = COUNTED.map((name) => `${name} INTEGER NOT NULL`).join(', ');
  db.exec(
    `CREATE TABLE IF NOT EXISTS usage (day TEXT NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL, ${counts},
     PRIMARY KEY (day, key, model)) STRICT, WITHOUT ROWID`,
  );
  return db;
}
