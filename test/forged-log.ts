// A cheating hub for tests: takes a real log apart, changes it, and puts it together again under the hub's own key, so that the tree is right.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestContext } from 'node:test';
import { openPublicLog } from '#public-log-open';
import type { AuditReport } from '../src/audit/audit.ts';
import { audit, type LocalAuditOptions } from '../src/audit/local-audit.ts';
import { AuditFailure, type AuditFailureCode, type PublicLog } from '../src/audit/public-log.ts';
import { openFolderLog } from '../src/audit/public-log-folder.ts';
import { decodeEvent } from '../src/core/codec.ts';
import type { EventBody, LoggedEvent } from '../src/core/events.ts';
import { openSqliteLogStore } from '../src/ledger/sqlite-log-store.ts';
import { decodeEntryBundle, parseTilePath } from '../src/ledger/tiles.ts';
import { openTransparencyLog } from '../src/ledger/transparency-log.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import type { Identity } from '../src/protocol/identity.ts';
import { setBlobOnDisk } from './blobs-on-disk.ts';

/** An entry of a log with what it says. */
export interface Entry {
  readonly bytes: Uint8Array;
  readonly event: LoggedEvent;
}

/** All entries of a hub's folder. */
export async function entriesOf(folder: string): Promise<Entry[]> {
  const log = openFolderLog(folder);
  const entries: Entry[] = [];
  for await (const { bundle, count } of log.pages()) {
    for (const bytes of decodeEntryBundle(bundle, count))
      entries.push({ bytes: bytes.slice(), event: decodeEvent(bytes) });
  }
  log.close();
  return entries;
}

/** A body signed by somebody, as an entry. */
export async function signedEntry(author: Identity, body: EventBody): Promise<Entry> {
  const bytes = await signEvent(author, body);
  return { bytes, event: decodeEvent(bytes) };
}

/** Where the nth (from the end, if negative) event of a type stands. */
export function indexOfType(entries: readonly Entry[], type: EventBody['type'], nth = 0): number {
  const found = entries.flatMap(({ event }, index) => (event.body.type === type ? [index] : []));
  const index = found.at(nth);
  if (index === undefined) throw new Error(`the log has ${found.length} events ${type}, wanted ${nth}`);
  return index;
}

/** The body of an entry, as the type that it must be. */
export function bodyOf<T extends EventBody['type']>(entry: Entry, type: T): Extract<EventBody, { type: T }> {
  if (entry.event.body.type !== type) throw new Error(`expected ${type}, got ${entry.event.body.type}`);
  return entry.event.body as Extract<EventBody, { type: T }>;
}

/** A folder like a hub's, with other entries under a checkpoint that the hub's key has signed over them. */
export interface Forgery {
  readonly folder: string;
  /** Replaces a blob's bytes under its old name; null removes it. Never the original's. */
  setBlob(hash: string, bytes: Uint8Array | null): void;
  /** Runs SQL on hub.sqlite, as somebody with the disk could. */
  sql(statement: string, ...values: (string | number | Uint8Array)[]): void;
}

export async function forge(
  parent: string,
  original: string,
  hub: Identity,
  entries: readonly Uint8Array[],
): Promise<Forgery> {
  const folder = mkdtempSync(join(parent, 'forged-'));
  const blobs = join(folder, 'blobs');
  symlinkSync(join(original, 'blobs'), blobs);
  const path = join(folder, 'hub.sqlite');
  const store = openSqliteLogStore(path);
  const log = openTransparencyLog(store, hub);
  if (entries.length > 0) await log.append(entries);
  await log.checkpoint();
  await store.close();
  let own = false;
  return {
    folder,
    setBlob(hash, bytes) {
      if (!own) {
        rmSync(blobs);
        cpSync(join(original, 'blobs'), blobs, { recursive: true });
        own = true;
      }
      setBlobOnDisk(folder, hash, bytes);
    },
    sql(statement, ...values) {
      const db = new DatabaseSync(path);
      db.prepare(statement).run(...values);
      db.close();
    },
  };
}

/** What a served path answers instead of the truth. */
export type Lie = (path: string, bytes: Uint8Array | null) => Uint8Array | null;

/** Serves a folder as a hub serves its log; resolves with the address and a way to make it lie. */
export async function serveForgery(
  t: TestContext,
  folder: string,
): Promise<{ readonly url: string; lie(by: Lie): void }> {
  const log: PublicLog = openFolderLog(folder);
  const store = openSqliteLogStore(join(folder, 'hub.sqlite'));
  const tiles = openTransparencyLog(store, { id: log.hub, sign: async () => new Uint8Array(64) });
  let lie: Lie = (_, bytes) => bytes;
  const read = async (path: string): Promise<Uint8Array | null> => {
    if (path === '/log/checkpoint') return new TextEncoder().encode(log.head!.note);
    if (path.startsWith('/blobs/')) return log.blob(path.slice('/blobs/'.length));
    if (!path.startsWith('/log/') || path === '/log/cosigned') return null;
    const tile = parseTilePath(path.slice('/log/'.length));
    return tile.kind === 'entries'
      ? tiles.entryBundle(tile.index, tile.width)
      : tiles.tile(tile.level, tile.index, tile.width);
  };
  const server = createServer(async (request, response) => {
    const path = request.url ?? '';
    const bytes = lie(path, await read(path));
    response.writeHead(bytes ? 200 : 404).end(bytes ?? 'nothing here');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await store.close();
    log.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lie(by) {
      lie = by;
    },
  };
}

/** Audits a place; with `hub` only if that is whose log it is. */
export async function auditAt(place: string, options: LocalAuditOptions & { hub?: string } = {}): Promise<AuditReport> {
  const log = await openPublicLog(place, options.hub);
  try {
    return await audit(log, { threads: 0, ...options });
  } finally {
    log.close();
  }
}

/** The audit must fail with this code, and say where. */
export async function isUntrue(
  place: string,
  code: AuditFailureCode,
  details: Record<string, unknown>,
  options?: LocalAuditOptions & { hub?: string },
): Promise<AuditFailure> {
  const found: unknown = await auditAt(place, options).catch((error) => error);
  assert.ok(found instanceof AuditFailure, `expected ${code}, got ${found}`);
  const got = Object.fromEntries(Object.keys(details).map((key) => [key, found.details[key]]));
  assert.deepEqual({ code: found.code, ...got }, { code, ...details }, found.message);
  return found;
}
