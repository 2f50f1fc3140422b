// The model that is kept for a time without the hub: there after a reload or said not to be, and never something damaged.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlobCache } from '../../peer/blobs.ts';
import type { Table, TabStore } from '../tab/store.ts';
import { keepModel, keptModel } from './kept-model.ts';

const HASH = 'a'.repeat(64);
const MODEL = { game: 'pretrain', params: HASH, model: 'b'.repeat(64), merged_rounds: 4 };

function storeOf(temporary = false): TabStore {
  const values = new Map<string, unknown>();
  const keyOf = (table: Table, key: string) => `${table} ${key}`;
  return {
    temporary,
    get: async (table, key) => values.get(keyOf(table, key)),
    put: async (table, key, value) => void values.set(keyOf(table, key), value),
    putIfAbsent: async (_table, _key, value) => value,
    delete: async () => {},
    entries: async () => [],
  };
}

/** Keeps what has at most so many bytes, as openTabBlobs does. */
const cacheOf = (store: TabStore, most_bytes: number): BlobCache => ({
  get: async () => null,
  put: async (hash, bytes) => {
    if (bytes.length <= most_bytes) await store.put('blob_uses', hash, { size_bytes: bytes.length });
  },
});

test('what was kept of a run comes back, of another nothing', async () => {
  const store = storeOf();
  assert.equal(await keepModel(store, cacheOf(store, 100), 'run', MODEL, (put) => put(new Uint8Array(100))), true);
  assert.deepEqual(await keptModel(store, 'run'), MODEL);
  assert.equal(await keptModel(store, 'other'), null);
});

test('a browser that keeps nothing, a model that is too large, a full disk: it says no, and keeps the one before', async () => {
  const store = storeOf();
  await keepModel(store, cacheOf(store, 100), 'run', MODEL, (put) => put(new Uint8Array(100)));
  const newer = { ...MODEL, model: 'c'.repeat(64) };
  assert.equal(
    await keepModel(storeOf(true), cacheOf(store, 100), 'run', newer, (put) => put(new Uint8Array(1))),
    false,
  );
  assert.equal(await keepModel(store, cacheOf(store, 100), 'run', newer, (put) => put(new Uint8Array(101))), false);
  const full: BlobCache = { get: async () => null, put: () => Promise.reject(new Error('full')) };
  assert.equal(await keepModel(store, full, 'run', newer, (put) => put(new Uint8Array(1))), false);
  assert.deepEqual(await keptModel(store, 'run'), MODEL);
});

test('something damaged is nothing', async () => {
  const store = storeOf();
  await store.put('drawer', 'play/run', { ...MODEL, model: 'short' });
  assert.equal(await keptModel(store, 'run'), null);
  const denied = { ...store, get: () => Promise.reject(new Error('denied')) };
  assert.equal(await keptModel(denied, 'run'), null);
});
