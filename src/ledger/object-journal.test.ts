// The journal of objects that are created once: the suite of all journals, without and with a store that fails; then what only objects can do.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../protocol/random.ts';
import { type Batch, decodeBatch, EMPTY_JOURNAL, encodeBatch, endAfter } from './journal.ts';
import { type CreateOnlyObjects, openObjectJournal } from './object-journal.ts';
import { journalCompliance } from './testing/journal-compliance.ts';
import { memoryObjects } from './testing/memory-objects.ts';

journalCompliance('objects', () => {
  const objects = new Map<string, Uint8Array>();
  return () => openObjectJournal(memoryObjects(objects));
});

/** Each millisecond is a turn of the event loop for one in twenty: what waits longer goes on later. */
const wait = async (ms: number): Promise<void> => {
  for (let turns = 0; turns <= ms / 20; turns++) await new Promise((resolve) => setImmediate(resolve));
};
let opened = 0;

journalCompliance('objects of a store that fails', () => {
  const objects = new Map<string, Uint8Array>();
  const random = seededRandom('a store that fails', opened++);
  return () => openObjectJournal(memoryObjects(objects, { random, wait, percent: 30, longest_ms: 40 }), { wait });
});

const batch: Batch = { ...EMPTY_JOURNAL, entries: [Uint8Array.of(1), Uint8Array.of(2, 3)] };
const nameOf = (number: number) => `batch/${String(number).padStart(16, '0')}`;

test('a store that is gone for long: a write is uncertain, a read has failed, and neither for ever', async () => {
  let waited_ms = 0;
  const gone: CreateOnlyObjects = {
    create: () => Promise.reject(new Error('no route')),
    get: () => Promise.reject(new Error('no route')),
  };
  const journal = openObjectJournal(gone, {
    wait: async (ms) => {
      waited_ms += ms;
    },
  });
  await assert.rejects(journal.append(batch), { code: 'write-failed', message: /in 9 attempts: no route/ });
  assert.equal(waited_ms, 10_000);
  await assert.rejects(journal.append({ ...endAfter(batch), entries: batch.entries }), { code: 'journal-unreachable' });
  await assert.rejects(journal.read(0)[Symbol.asyncIterator]().next(), { code: 'journal-unreachable' });
});

test('an object that somebody put there, and a batch left by a writer ahead of its time, are never read as the next', async () => {
  const second: Batch = { ...endAfter(batch), entries: batch.entries };
  const stray: Batch = { ...endAfter({ ...batch, entries: [Uint8Array.of(9)] }), entries: batch.entries };
  const damaged = encodeBatch(second);
  damaged[30] ^= 1;
  for (const bytes of [
    encodeBatch(stray),
    encodeBatch(batch),
    damaged,
    new Uint8Array(5),
    encodeBatch(second).slice(0, -1),
  ]) {
    const objects = memoryObjects(
      new Map([
        [nameOf(0), encodeBatch(batch)],
        [nameOf(1), bytes],
      ]),
    );
    const reading = openObjectJournal(objects).read(0)[Symbol.asyncIterator]();
    assert.equal((await reading.next()).value.number, 0);
    await assert.rejects(reading.next(), { code: 'log-corrupt' });
  }
});

test('a batch has one form: what is decoded is encoded to the same bytes, and nothing else is decoded', () => {
  const big: Batch = { number: 2 ** 40 + 7, first: 2 ** 41 + 9, prev: endAfter(batch).prev, entries: batch.entries };
  const bytes = encodeBatch(big);
  assert.deepEqual(decodeBatch(bytes), big);
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at] ^= 0xff;
    let again: Batch;
    try {
      again = decodeBatch(changed);
    } catch (error) {
      assert.equal((error as { code: string }).code, 'malformed');
      continue;
    }
    assert.deepEqual(encodeBatch(again), changed, `byte ${at}`);
  }
});

test('whoever is patient writes once the store is back, and then the batch is there once', async () => {
  const kept = new Map<string, Uint8Array>();
  const store = memoryObjects(kept);
  let waited_ms = 0;
  const back_ms = 30_000;
  const journal = openObjectJournal(
    {
      async create(name, bytes) {
        if (waited_ms < back_ms) throw new Error('503 SlowDown');
        return store.create(name, bytes);
      },
      get: store.get,
    },
    {
      patience_ms: 60_000,
      wait: async (ms) => {
        assert.equal(kept.size, 0);
        waited_ms += ms;
      },
    },
  );
  await journal.append(batch);
  assert.ok(waited_ms >= back_ms && waited_ms < back_ms + 4_000);
  assert.equal(kept.size, 1);
});
