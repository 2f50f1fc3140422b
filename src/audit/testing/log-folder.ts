// A handmade log in a folder, as a hub keeps it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openSqliteLogStore } from '../../ledger/sqlite-log-store.ts';
import { openTransparencyLog } from '../../ledger/transparency-log.ts';
import type { ExampleLog } from './example-log.ts';

export function emptyFolder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'potluck-example-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** @param size how many of its entries the folder has */
export async function folderOf(t: TestContext, { entries, hub }: ExampleLog, size = entries.length): Promise<string> {
  const dir = emptyFolder(t);
  const store = openSqliteLogStore(join(dir, 'hub.sqlite'));
  const log = openTransparencyLog(store, hub);
  await log.append(entries.slice(0, size).map(({ bytes }) => bytes));
  await log.checkpoint();
  store.close();
  return dir;
}
