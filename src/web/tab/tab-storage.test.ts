// What a tab keeps: its drawer on a database that commits late and loses what it has not committed, and what is on disk before it counts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawerCompliance } from '../../games/testing/drawer-compliance.ts';
import { type Kept, receiptsCompliance } from '../../ledger/testing/receipts-compliance.ts';
import { blobCacheCompliance } from '../../peer/testing/blob-cache-compliance.ts';
import { inDatabase, openTabStore, type Table, type TabStore } from './store.ts';
import { openTabBlobs, openTabDrawer, openTabReceipts } from './tab-storage.ts';

/** A database's table as the tab's store has it: changes are committed in their order, a turn after they were made. */
function lateStore(committed: Map<string, unknown>): { store: TabStore; cut(): void } {
  let alive = true;
  let last: Promise<void> = Promise.resolve();
  const commit = (change: () => void): Promise<void> => {
    last = last.then(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      if (!alive) return new Promise(() => {});
      change();
    });
    return last;
  };
  const keyOf = (table: Table, key: string): string => `${table} ${key}`;
  const store: TabStore = {
    temporary: false,
    get: async (table, key) => committed.get(keyOf(table, key)),
    put: (table, key, value) => commit(() => committed.set(keyOf(table, key), value)),
    putIfAbsent: () => assert.fail(),
    delete: (table, key) => commit(() => committed.delete(keyOf(table, key))),
    entries: () => assert.fail(),
  };
  return {
    store,
    cut() {
      alive = false;
    },
  };
}

drawerCompliance('a tab', async () => {
  const committed = new Map<string, unknown>();
  const { store, cut } = lateStore(committed);
  const fail = (why: Error) => assert.fail(why);
  return {
    drawer: openTabDrawer(store, 'run', fail),
    async powerCut() {
      cut();
      return openTabDrawer(lateStore(committed).store, 'run', fail);
    },
  };
});

// Where there is no IndexedDB, as here, the tab's store lies in memory.
blobCacheCompliance('a tab', async (limit_bytes, now_ms) =>
  openTabBlobs(await openTabStore(), now_ms, async () => limit_bytes),
);

receiptsCompliance('a tab', async () => {
  const committed = new Map<string, unknown>();
  const { store, cut } = lateStore(committed);
  return {
    receipts: openTabReceipts(store, 'run'),
    async powerCut() {
      cut();
      return [...committed.values()] as Kept[];
    },
  };
});

test('drawers of two runs are two', async () => {
  const { store } = lateStore(new Map());
  const [one, other] = ['one', 'other'].map((run) => openTabDrawer(store, run, (why) => assert.fail(why)));
  await one.put('thing', Uint8Array.of(1));
  assert.equal(await other.get('thing'), null);
});

test('keys, certificates, drawers and receipts are on disk when a put resolves, and not before', async () => {
  const begun: { table: string; durability?: string; complete(): void }[] = [];
  // As much of a database as a put needs.
  const database = {
    transaction(table: string, _mode: string, options: { durability?: string }) {
      const transaction = { oncomplete: () => {}, objectStore: () => ({ put: () => ({}) }) };
      begun.push({ table, ...options, complete: () => transaction.oncomplete() });
      return transaction;
    },
  } as unknown as IDBDatabase;
  const store = inDatabase(database);
  for (const table of ['keys', 'certificates', 'drawer', 'receipts'] as const) {
    let done = false;
    const putting = store.put(table, 'key', 1).then(() => {
      done = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(done, false, table);
    const { durability, complete } = begun.at(-1)!;
    assert.equal(durability, 'strict', table);
    complete();
    await putting;
  }
  void store.put('blobs', 'key', 1);
  assert.equal(begun.at(-1)!.durability, 'relaxed', 'what the hub has as well does not wait for the disk');
});
