// Compliance tests for every Journal. Each implementation's test file calls them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Random, seededRandom } from '../../protocol/random.ts';
import { LedgerError, type LedgerErrorCode } from '../errors.ts';
import { type Batch, EMPTY_JOURNAL, endAfter, hashOfBatch, type Journal, type JournalEnd } from '../journal.ts';
import { openReplica } from '../replica.ts';
import { failingProcess, pause } from './failing-process.ts';
import { createMemoryLocalLog } from './memory-log.ts';

const rejectsWith = (step: Promise<unknown>, code: LedgerErrorCode) =>
  assert.rejects(step, (error) => error instanceof LedgerError && error.code === code);

const entry = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const batchAfter = (end: JournalEnd, ...texts: string[]): Batch => ({ ...end, entries: texts.map(entry) });

async function all(journal: Journal, number = 0): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of journal.read(number)) batches.push(batch);
  return batches;
}

async function entriesOf(journal: Journal): Promise<string[]> {
  return (await all(journal)).flatMap((batch) => batch.entries.map(text));
}

/**
 * @param open makes an empty journal and gives handles to it: what one handle has written, every other reads
 * @param runs how many histories of two writers are tried
 */
export function journalCompliance(name: string, open: () => () => Journal, runs = RUNS): void {
  test(`${name}: batches are read as they were written, from any of them on`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 5 }), {
          maxLength: 8,
        }),
        async (lists) => {
          const handle = open();
          const journal = handle();
          let end = EMPTY_JOURNAL;
          const written: Batch[] = [];
          for (const entries of lists) {
            written.push({ ...end, entries });
            await journal.append(written.at(-1)!);
            end = endAfter(written.at(-1)!);
          }
          for (let from = 0; from <= lists.length + 1; from++) {
            const read = await all(handle(), from);
            assert.deepEqual(read.map(hashOfBatch), written.slice(from).map(hashOfBatch));
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  test(`${name}: of eight who create the same batch one wins, and the others hear that they are fenced`, async () => {
    const handle = open();
    let end = EMPTY_JOURNAL;
    for (let number = 0; number < 5; number++) {
      const batches = Array.from({ length: 8 }, (_, writer) => batchAfter(end, `${number} by ${writer}`));
      const results = await Promise.allSettled(batches.map((batch) => handle().append(batch)));
      const winners = batches.filter((_, i) => results[i].status === 'fulfilled');
      assert.equal(winners.length, 1);
      for (const result of results) {
        if (result.status === 'rejected') assert.equal(result.reason.code, 'fenced', String(result.reason));
      }
      const [there] = await all(handle(), number);
      assert.deepEqual(there.entries.map(text), winners[0].entries.map(text));
      end = endAfter(winners[0]);
    }
  });

  test(`${name}: a batch that is there already is no failure, and is there once`, async () => {
    const handle = open();
    const first = batchAfter(EMPTY_JOURNAL, 'a');
    const second = batchAfter(endAfter(first), 'b');
    await handle().append(first);
    await handle().append(first);
    await handle().append(second);
    await handle().append(first);
    await handle().append(second);
    assert.deepEqual(await entriesOf(handle()), ['a', 'b']);
  });

  test(`${name}: what does not go on with the journal is fenced, and nobody reads it`, async () => {
    const handle = open();
    const first = batchAfter(EMPTY_JOURNAL, 'a', 'b');
    await handle().append(first);
    const end = endAfter(first);
    const others: JournalEnd[] = [
      { ...end, prev: hashOfBatch(batchAfter(EMPTY_JOURNAL, 'a', 'c')) },
      { ...end, first: 1 },
      { ...end, number: 2 },
      { ...EMPTY_JOURNAL, first: 2 },
    ];
    for (const other of others) await rejectsWith(handle().append(batchAfter(other, 'x')), 'fenced');
    await handle().append(batchAfter(end, 'c'));
    assert.deepEqual(await entriesOf(handle()), ['a', 'b', 'c']);
  });

  test(`${name}: two who both believe that they write it, with pauses, lost answers and deaths: no entry that was acknowledged is lost or doubled`, async () => {
    let [fenced, unknown, deaths] = [0, 0, 0];
    for (let seed = 0; seed < runs; seed++) {
      const handle = open();
      const random = seededRandom(`two writers of ${name}`, seed);
      const acknowledged = new Map<string, number>();
      const told = (kind: LedgerErrorCode | 'death'): void => {
        if (kind === 'fenced') fenced++;
        else if (kind === 'death') deaths++;
        else unknown++;
      };
      await Promise.all(['a', 'b'].map((writer) => writeFor(writer, handle, random, acknowledged, told)));
      const entries = await entriesOf(handle());
      assert.equal(new Set(entries).size, entries.length, `seed ${seed}: an entry is there twice`);
      for (const [entry, index] of acknowledged)
        assert.equal(entries[index], entry, `seed ${seed}: it was acknowledged`);
      // A new process without a local copy holds the same.
      const fresh = await openReplica(createMemoryLocalLog(), handle());
      assert.deepEqual(fresh.read(0, fresh.size).map(text), entries);
    }
    // A slow engine's writers die before an answer is lost: each kind must come up, but not each often.
    assert.ok(
      Math.min(fenced, unknown, deaths) > 0 && fenced + unknown + deaths > 2 * runs,
      `fenced ${fenced}, no answer ${unknown}, dead ${deaths} in ${runs} histories: too little has gone wrong`,
    );
  });
}

const RUNS = 40;
/** How often a writer restarts in one run. */
const LIVES = 6;

/** A process that starts, writes until it is fenced, loses an answer or dies, and starts again, sometimes on a machine without its copy. */
async function writeFor(
  writer: string,
  handle: () => Journal,
  random: Random,
  acknowledged: Map<string, number>,
  told: (kind: LedgerErrorCode | 'death') => void,
): Promise<void> {
  let local = createMemoryLocalLog();
  let next = 0;
  for (let life = 0; life < LIVES; life++) {
    if (random.below(3) === 0) local = createMemoryLocalLog();
    const { journal, kill } = failingProcess(handle(), random, 10);
    const log = await openReplica(local, journal);
    let alive = true;
    let trouble: LedgerError | null = null;
    const dies = pause(random, 60).then(() => 'death' as const);
    for (let calls = 0; alive && !trouble && calls < 8; calls++) {
      const sent = Array.from({ length: 1 + random.below(3) }, () => {
        const entries = Array.from({ length: 1 + random.below(3) }, () => `${writer}${next++}`);
        return log.append(entries.map(entry)).then(
          (first) => {
            assert.ok(alive, 'the dead are not answered');
            assert.equal(trouble, null, 'after a failure nothing is acknowledged');
            for (const [i, each] of entries.entries()) acknowledged.set(each, first + i);
          },
          (error: LedgerError) => {
            if (!trouble) told(error.code);
            trouble = error;
          },
        );
      });
      const ending = await Promise.race([Promise.all(sent), dies]);
      if (ending !== 'death') continue;
      alive = false;
      kill();
      told('death');
    }
    await pause(random, 4);
  }
}
