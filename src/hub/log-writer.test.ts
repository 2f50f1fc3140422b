// The hub's writer: the order is that of the calls whatever fails in between, and no moment is too late for the next write.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LoggedEvent } from '../core/events.ts';
import { LedgerError } from '../ledger/errors.ts';
import { MAX_BATCH_ENTRIES } from '../ledger/journal.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import type { Clock } from '../protocol/clock.ts';
import { openWriter } from './log-writer.ts';

/** A clock on which every wait is over as soon as everything else has had its turn. */
const hasty: Clock = {
  now_ms: () => 0,
  elapsed_ms: () => 0,
  setTimeout: (run) => void setImmediate(run),
  clearTimeout: () => {},
};
const applied = (byte: number) => ({ bytes: Uint8Array.of(byte), event: {} as LoggedEvent, snapshot: null });

test('what comes in the very moment in which a write ends is written too', async () => {
  for (let hops = 0; hops < 12; hops++) {
    const writer = openWriter(createMemoryLogStore(), hasty, () => {});
    await writer.append(applied(1));
    for (let hop = 0; hop < hops; hop++) await null;
    const next = writer.append(applied(2));
    const slow = new Promise((resolve) => setTimeout(resolve, 60_000, 'never').unref());
    assert.equal(await Promise.race([next, slow]), 1, `after ${hops} hops`);
  }
});

test('a disk that is full now and then: the log holds what was appended, in its order, each once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { maxLength: 12 }),
      fc.integer({ min: 1, max: 30 }),
      async (fails, count) => {
        const store = createMemoryLogStore();
        const log = {
          get size() {
            return store.size;
          },
          read: store.read,
          async append(entries: readonly Uint8Array[]) {
            await null;
            if (fails.pop()) throw new LedgerError('disk-full', 'full');
            return store.append(entries);
          },
        };
        const heard: number[] = [];
        const writer = openWriter(log, hasty, (_, index) => heard.push(index));
        const answers: Promise<number>[] = [];
        for (let i = 0; i < count; i++) {
          // The state was changed just before: what may not be refused any more has to be written.
          answers.push(writer.append(applied(i)));
          if (i % 3 === 0) await null;
        }
        const indices = Array.from({ length: count }, (_, i) => i);
        assert.deepEqual(await Promise.all(answers), indices);
        assert.deepEqual(heard, indices);
        assert.deepEqual(
          store.read(0, count).map(([byte]) => byte),
          indices,
        );
      },
    ),
    { numRuns: 100 },
  );
});

test('more than one call of the log takes is written in several, in order', async () => {
  const store = createMemoryLogStore();
  const calls: number[] = [];
  const log = {
    get size() {
      return store.size;
    },
    read: store.read,
    append(entries: readonly Uint8Array[]) {
      calls.push(entries.length);
      return store.append(entries);
    },
  };
  const writer = openWriter(log, hasty, () => {});
  const count = MAX_BATCH_ENTRIES + 3;
  const answers = Array.from({ length: count }, (_, i) => writer.append(applied(i % 256)));
  assert.deepEqual(
    await Promise.all(answers),
    answers.map((_, i) => i),
  );
  assert.deepEqual(calls, [1, MAX_BATCH_ENTRIES, 2]);
});

test('what was given up stays so, also when a write that was under way then succeeds', async () => {
  const store = createMemoryLogStore();
  let heard = 0;
  const writer = openWriter(store, hasty, () => heard++);
  const under = assert.rejects(writer.append(applied(1)), /the core is wrong/);
  writer.giveUp(new Error('the core is wrong'));
  await under;
  await writer.close();
  assert.equal(store.size, 1, 'it was written all the same');
  assert.equal(writer.standing, 'log-failed');
  assert.equal(heard, 0);
});
