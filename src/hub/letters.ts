// Passes letters on between devices and their owner (protocol/device-letters.ts): the newest of each kind for each device, in a file beside
// the log that may be lost. The hub reads nothing of them but who wrote to whom and when.
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { NetworkState } from '../core/state.ts';
import { toBase64 } from '../ledger/signed-note.ts';
import { isDiskFull } from '../ledger/sqlite-log-file.ts';
import type { Clock } from '../protocol/clock.ts';
import { type LettersView, openQuestion, openReportLetter, openSettingsLetter } from '../protocol/device-letters.ts';
import { NO_POST, type Post, type PostWord } from './cluster/post.ts';
import { HubError } from './errors.ts';
import type { RateLimits } from './rate-limits.ts';

export const LETTER_STORE_LIMITS = {
  letters: 20_000, // of each kind: twice the devices that a hub is built for; 220 MB where every letter is as long as may be
  forgotten_ms: 7 * 86_400_000, // reports: after a week without one a device is shown as bound, and nothing more is known of it
  settings_ms: 400 * 86_400_000, // settings: a year, and some days in which they are renewed
  question_ms: 3_600_000, // how far the clock of who asks may be off: a question that was overheard is good for no longer
  again_ms: 20_000, // how often a device writes
  reports_per_second: 50, // where more would come at that pace, all write less often: a twentieth of what a core verifies
  tidy_ms: 60_000,
  count_ms: 1000, // devices are counted no more often: that reads a whole index, 1.4 ms where there are 20,000
} as const;

export interface Letters {
  /** Keeps a device's report. @returns the owner's newest settings for it, and when it may write again */
  report(letter: Uint8Array): { readonly settings: string | null; readonly again_ms: number };
  /** Keeps an owner's settings for one device. */
  settings(letter: Uint8Array): { readonly sequence: number };
  /** What an owner's devices have told, for the owner. */
  answer(question: Uint8Array): LettersView;
  close(): void;
}

export interface LettersOptions {
  /** Of the file; ":memory:" for none. */
  readonly path: string;
  readonly hub: string;
  readonly state: Pick<NetworkState, 'devices'>;
  readonly clock: Clock;
  readonly rates: RateLimits;
  /** Tells the other processes of this hub, and hears what they keep; missing: there are none. */
  readonly post?: Post;
  /** Overrides of LETTER_STORE_LIMITS. */
  readonly limits?: Partial<Record<keyof typeof LETTER_STORE_LIMITS, number>>;
}

type Table = 'reports' | 'settings';
interface Kept {
  readonly device: string;
  readonly sequence: number;
  readonly received_ms: number;
  readonly bytes: Uint8Array;
}

/** Each method throws ProtocolError for a letter that is none, HubError `not-bound`, `old-letter`, `too-fast`, `wrong-question`. */
export function openLetters(options: LettersOptions): Letters {
  const { hub, state, clock, rates, post = NO_POST } = options;
  const limits = { ...LETTER_STORE_LIMITS, ...options.limits };
  const store = openStore(options.path);
  let tidied_ms = Number.NEGATIVE_INFINITY;
  const tidy = (): void => {
    const now_ms = clock.now_ms();
    if (Math.abs(now_ms - tidied_ms) < limits.tidy_ms) return;
    tidied_ms = now_ms;
    store.forget('reports', now_ms - limits.forgotten_ms);
    store.forget('settings', now_ms - limits.settings_ms);
  };
  /** A device whose owner still vouches for it; anybody else's letter leaves nothing here. */
  const mustBeBound = (device: string, owner?: string): string => {
    const known = state.devices.get(device);
    if (!known || known.revoked || (owner !== undefined && known.owner !== owner)) {
      const whose = owner === undefined ? 'an owner' : owner.slice(0, 12);
      throw new HubError('not-bound', `expected a device that works for ${whose} here, got ${device.slice(0, 12)}`);
    }
    return known.owner;
  };
  /** @returns the letter in whose place it is */
  const keep = (table: Table, letter: Omit<Kept, 'received_ms'> & { readonly owner: string }): Kept | undefined => {
    const before = store.get(table, letter.device);
    const newest = before?.sequence ?? -1;
    if (letter.sequence <= newest) {
      const message = `expected a letter with a sequence number above ${newest}, got ${letter.sequence}`;
      throw new HubError('old-letter', message, { newest });
    }
    store.put(table, { ...letter, received_ms: clock.now_ms() });
    if (before === undefined && store.countSince(-1, table) > limits.letters) store.makeRoom(table);
    tidy();
    return before;
  };
  /** How many devices have written lately: what is new since it was counted is added, what has become old is not yet taken off. */
  const lately = { devices: 0, counted_ms: Number.NEGATIVE_INFINITY };
  const long_ago_ms = (): number => clock.now_ms() - 10 * limits.again_ms;
  const countLately = (): void => {
    const now_ms = clock.now_ms();
    if (Math.abs(now_ms - lately.counted_ms) < limits.count_ms) return;
    lately.counted_ms = now_ms;
    lately.devices = store.countSince(long_ago_ms());
  };
  const again_ms = (): number => {
    countLately();
    return Math.round(Math.max(limits.again_ms, (1000 * lately.devices) / limits.reports_per_second));
  };
  /** @param limit called when its author is known */
  const keepReport = (bytes: Uint8Array, limit: (device: string) => void): string => {
    const { author: device, sequence } = openReportLetter(bytes);
    const owner = mustBeBound(device);
    limit(device);
    countLately();
    const before = keep('reports', { device, owner, sequence, bytes });
    if (before === undefined || before.received_ms <= long_ago_ms()) lately.devices++;
    return device;
  };
  const keepSettings = (bytes: Uint8Array, limit: (owner: string) => void): number => {
    const { author: owner, device, sequence } = openSettingsLetter(bytes);
    mustBeBound(device, owner);
    limit(owner);
    keep('settings', { device, owner, sequence, bytes });
    return sequence;
  };
  hearOthers(post, store, (kind, letter) => (kind === 'report' ? keepReport : keepSettings)(letter, () => {}));
  return {
    report(bytes) {
      const device = keepReport(bytes, (author) => rates.take('letter_key', author));
      const settings = store.get('settings', device);
      post.send({ kind: 'report', letter: bytes, settings: settings?.sequence ?? null });
      return { settings: base64(settings?.bytes), again_ms: again_ms() };
    },
    settings(bytes) {
      const sequence = keepSettings(bytes, (author) => rates.take('settings_key', author));
      post.send({ kind: 'settings', letter: bytes });
      return { sequence };
    },
    answer(bytes) {
      const { author: owner, hub: asked, asked_ms } = openQuestion(bytes);
      const now_ms = clock.now_ms();
      mustBeAsked({ asked, off_ms: asked_ms - now_ms }, hub, limits.question_ms);
      rates.take('letter_key', owner);
      return { ...{ hub, now_ms, again_ms: again_ms() }, devices: devicesOf(owner, state, store) };
    },
    close: store.close,
  };
}

type Store = ReturnType<typeof openStore>;

/** Throws HubError `wrong-question`. */
function mustBeAsked({ asked, off_ms }: { asked: string; off_ms: number }, hub: string, most_ms: number): void {
  if (asked === hub && Math.abs(off_ms) <= most_ms) return;
  const got = asked === hub ? `of a clock that is ${Math.round(off_ms / 1000)} s off` : `to ${asked.slice(0, 12)}`;
  throw new HubError('wrong-question', `expected a question to ${hub.slice(0, 12)} of this hour, got one ${got}`);
}

function devicesOf(owner: string, { devices }: LettersOptions['state'], store: Store): LettersView['devices'] {
  const own = [...devices].filter(([, known]) => known.owner === owner);
  return own.map(([device, { revoked, expires_ms }]) => {
    const report = store.get('reports', device);
    return {
      ...{ device, revoked, expires_ms },
      report: report ? { received_ms: report.received_ms, bytes: base64(report.bytes)! } : null,
      settings: base64(store.get('settings', device)?.bytes),
    };
  });
}

/** Keeps what other processes have kept, and tells one that does not have the newest settings of a device. */
function hearOthers(post: Post, store: Store, keep: (kind: 'report' | 'settings', letter: Uint8Array) => void): void {
  post.listen((word) => {
    if (word.kind !== 'report' && word.kind !== 'settings') return;
    try {
      keep(word.kind, word.letter);
    } catch (error) {
      // The log here may lag behind, or a newer letter be here.
      if (!(error instanceof HubError && ['not-bound', 'old-letter'].includes(error.code))) throw error;
    }
    const settings = word.kind === 'report' ? newerSettings(word, store) : null;
    if (settings) post.send({ kind: 'settings', letter: settings });
  });
}

/** What an owner has written to a device since the settings that another process knows. */
function newerSettings({ letter, settings }: Extract<PostWord, { kind: 'report' }>, store: Store): Uint8Array | null {
  const own = store.get('settings', openReportLetter(letter).author);
  return own && own.sequence > (settings ?? -1) ? own.bytes : null;
}

const base64 = (bytes: Uint8Array | undefined): string | null => (bytes ? toBase64(bytes) : null);

const SCHEMA = (['reports', 'settings'] as const)
  .map(
    (table) => `
  CREATE TABLE IF NOT EXISTS ${table} (
    device TEXT PRIMARY KEY, owner TEXT NOT NULL, sequence INTEGER NOT NULL, received_ms INTEGER NOT NULL, bytes BLOB NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS ${table}_owner ON ${table} (owner, received_ms);
  CREATE INDEX IF NOT EXISTS ${table}_age ON ${table} (received_ms);`,
  )
  .join('');

function openStore(path: string) {
  const db = openFile(path);
  const statements = (table: Table) => ({
    get: db.prepare(`SELECT device, sequence, received_ms, bytes FROM ${table} WHERE device = ?`),
    put: db.prepare(`INSERT OR REPLACE INTO ${table} VALUES (?, ?, ?, ?, ?)`),
    count: db.prepare(`SELECT count(*) AS n FROM ${table} WHERE received_ms > ?`),
    forget: db.prepare(`DELETE FROM ${table} WHERE received_ms < ?`),
    // Whoever has most of them here makes room, so that one owner's keys, which cost nothing, push out only each other.
    makeRoom: db.prepare(`DELETE FROM ${table} WHERE device = (SELECT device FROM ${table} WHERE owner =
      (SELECT owner FROM ${table} GROUP BY owner ORDER BY count(*) DESC, min(received_ms) LIMIT 1) ORDER BY received_ms LIMIT 1)`),
  });
  const on = { reports: statements('reports'), settings: statements('settings') };
  const countSince = (since_ms: number, table: Table = 'reports') => (on[table].count.get(since_ms) as { n: number }).n;
  return {
    get: (table: Table, device: string) => on[table].get.get(device) as Kept | undefined,
    put(table: Table, { device, owner, sequence, received_ms, bytes }: Kept & { readonly owner: string }): void {
      try {
        on[table].put.run(device, owner, sequence, received_ms, bytes);
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        throw new HubError('disk-full', "this hub's disk is full: no letter can be kept");
      }
    },
    makeRoom: (table: Table) => void on[table].makeRoom.run(),
    forget: (table: Table, before_ms: number) => void on[table].forget.run(before_ms),
    countSince,
    close: () => db.close(),
  };
}

/** A file that cannot be used is made anew: devices write again within half a minute, owners once they look. */
function openFile(path: string): DatabaseSync {
  try {
    return prepared(new DatabaseSync(path));
  } catch {
    for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
    return prepared(new DatabaseSync(path));
  }
}

function prepared(db: DatabaseSync): DatabaseSync {
  try {
    // Nothing is owed for a letter, so that none waits for the disk.
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; ${SCHEMA}`);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}
