// The log over a journal: the suites of logs and journals in memory, then what this machine's copy is compared with and brought up to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LedgerError } from './errors.ts';
import { type Batch, type Journal, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from './journal.ts';
import type { LocalLog } from './local-log.ts';
import { openObjectJournal } from './object-journal.ts';
import { openFollowedLog, openReplica } from './replica.ts';
import { journalCompliance } from './testing/journal-compliance.ts';
import { logStoreCompliance } from './testing/log-store-compliance.ts';
import { createMemoryLocalLog, createMemoryLogStore } from './testing/memory-log.ts';
import { memoryObjects } from './testing/memory-objects.ts';
import { ownJournal } from './testing/own-journal.ts';

logStoreCompliance('memory', createMemoryLogStore);
logStoreCompliance('memory, the copy of a journal', () =>
  openReplica(createMemoryLocalLog(), openObjectJournal(memoryObjects(new Map()))),
);
journalCompliance('memory, its own journal', () => {
  const local = createMemoryLocalLog();
  return () => ownJournal(local);
});

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => Uint8Array.of(from + i));
const sizesOf = async (journal: Journal): Promise<number[]> => {
  const sizes: number[] = [];
  for await (const batch of journal.read(0)) sizes.push(batch.entries.length);
  return sizes;
};

test('calls of one moment are one batch, calls that come while it is written are the next, and no batch is beyond its limits', async () => {
  const journal = openObjectJournal(memoryObjects(new Map()));
  const log = await openReplica(createMemoryLocalLog(), journal);
  const first = log.append(numbers(0, 2));
  const second = log.append(numbers(2, 3));
  await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([first, second, log.append(numbers(3, 5)), log.append(numbers(5, 6))]);
  assert.deepEqual(await sizesOf(journal), [3, 3]);
  const most = Array.from({ length: MAX_BATCH_ENTRIES }, () => Uint8Array.of(1));
  const large = Array.from({ length: MAX_BATCH_BYTES / 2 ** 15 }, () => new Uint8Array(2 ** 15));
  const calls = [numbers(0, 1), most, numbers(0, 1), large, numbers(0, 2)].map((entries) => log.append(entries));
  await Promise.all(calls);
  assert.deepEqual((await sizesOf(journal)).slice(2), [1, most.length, 1, large.length, 2]);
  for (const beyond of [
    [...most, Uint8Array.of(1)],
    [...large, Uint8Array.of(1)],
  ]) {
    await assert.rejects(log.append(beyond), { code: 'too-many' });
  }
  await log.close();
});

test('a copy that lacks the end, or everything, is brought up to date; one that has something else is refused', async () => {
  const objects = new Map<string, Uint8Array>();
  const open = () => openObjectJournal(memoryObjects(objects));
  const short = createMemoryLocalLog();
  const log = await openReplica(createMemoryLocalLog(), open());
  for (let i = 0; i < 6; i++) {
    await log.append(numbers(2 * i, 2 * i + 2));
    if (i === 3) await openReplica(short, open());
  }
  for (const local of [short, createMemoryLocalLog()]) {
    const again = await openReplica(local, open());
    assert.deepEqual(again.read(0, again.size), numbers(0, 12));
    assert.equal(local.end.number, 6);
  }
  // Another history; one entry more than the journal has; and a journal that has lost everything.
  const fork = async (): Promise<LocalLog> => {
    const local = createMemoryLocalLog();
    await (await openReplica(local, openObjectJournal(memoryObjects(new Map())))).append(numbers(1, 3));
    return local;
  };
  await assert.rejects(openReplica(await fork(), open()), {
    code: 'log-rewritten',
    message: /keeps 2 entries in 1 batches/,
  });
  const ahead = createMemoryLocalLog();
  const lost = new Map(objects);
  await (await openReplica(ahead, openObjectJournal(memoryObjects(lost)))).append(numbers(12, 13));
  await assert.rejects(openReplica(ahead, open()), { code: 'log-rewritten' });
  await assert.rejects(openReplica(ahead, openObjectJournal(memoryObjects(new Map()))), { code: 'log-rewritten' });
});

test('who is fenced writes nothing more, though the next batch would be free, and is up to date after a new start', async () => {
  const objects = new Map<string, Uint8Array>();
  const [mine, theirs] = [createMemoryLocalLog(), createMemoryLocalLog()];
  const old = await openReplica(mine, openObjectJournal(memoryObjects(objects)));
  const other = await openReplica(theirs, openObjectJournal(memoryObjects(objects)));
  await other.append(numbers(0, 1));
  await assert.rejects(old.append(numbers(1, 2)), { code: 'fenced' });
  await assert.rejects(old.append(numbers(1, 2)), { code: 'fenced' });
  assert.equal(old.size, 0);
  const again = await openReplica(mine, openObjectJournal(memoryObjects(objects)));
  assert.equal(await again.append(numbers(1, 2)), 1);
  await assert.rejects(other.append(numbers(2, 3)), { code: 'fenced' });
  assert.deepEqual(again.read(0, 2), numbers(0, 2));
});

test('a batch that is in the journal and cannot be kept here ends the log, and is there when it is opened again', async () => {
  const objects = new Map<string, Uint8Array>();
  const local = createMemoryLocalLog();
  let full = true;
  const narrow: LocalLog = {
    ...local,
    get end() {
      return local.end;
    },
    take(batch) {
      if (full) throw new LedgerError('disk-full', 'no room');
      local.take(batch);
    },
  };
  const log = await openReplica(narrow, openObjectJournal(memoryObjects(objects)));
  const uncertain = { code: 'write-failed', message: /is in the journal.*no room/ };
  await assert.rejects(log.append(numbers(0, 1)), uncertain);
  full = false;
  await assert.rejects(log.append(numbers(1, 2)), uncertain);
  const again = await openReplica(narrow, openObjectJournal(memoryObjects(objects)));
  assert.deepEqual(again.read(0, again.size), numbers(0, 1));
});

test('a follower keeps what follows, asks for what is missing, and keeps nothing across a gap', async () => {
  const objects = new Map<string, Uint8Array>();
  const open = () => openObjectJournal(memoryObjects(objects));
  const follower = await openFollowedLog(createMemoryLocalLog(), open());
  const leader = await openReplica(createMemoryLocalLog(), open());
  for (let i = 0; i < 3; i++) await leader.append(numbers(i, i + 1));
  const batches: Batch[] = [];
  for await (const batch of open().read(0)) batches.push(batch);
  assert.equal(follower.take(batches[0]), 'kept');
  assert.equal(follower.take(batches[2]), 'gap');
  assert.deepEqual([follower.size, follower.take(batches[0])], [1, 'known']);
  const other = { ...batches[1], prev: new Uint8Array(32).fill(1) };
  assert.throws(() => follower.take(other), { code: 'log-rewritten' });
  const caught: number[] = [];
  await follower.catchUp(({ number }) => caught.push(number));
  assert.deepEqual([caught, follower.read(0, 3)], [[1, 2], numbers(0, 3)]);
  await assert.rejects(follower.append(numbers(3, 4)), { code: 'fenced' });
});

test('who leads hears, when it looks, that another has written; what it is writing itself is not another’s', async () => {
  const objects = new Map<string, Uint8Array>();
  const kept = memoryObjects(objects);
  let answers = (): void => {};
  const answered = new Promise<void>((resolve) => {
    answers = resolve;
  });
  const slow = openObjectJournal({
    get: kept.get,
    async create(name, bytes) {
      const answer = await kept.create(name, bytes);
      await answered;
      return answer;
    },
  });
  const log = await openFollowedLog(createMemoryLocalLog(), slow);
  log.lead();
  const written = log.append(numbers(0, 1));
  while (objects.size === 0) await new Promise(setImmediate);
  await log.catchUp(() => assert.fail('it keeps its own batch itself'));
  answers();
  assert.equal(await written, 0);
  await log.catchUp(() => assert.fail('there is nothing new'));
  const other = await openReplica(createMemoryLocalLog(), openObjectJournal(kept));
  await other.append(numbers(1, 2));
  await assert.rejects(
    log.catchUp(() => {}),
    { code: 'fenced' },
  );
});
