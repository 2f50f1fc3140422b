// Usage that is kept: sums that no batching, restart or second process changes, an end to what is kept, and a file for its owner alone.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import { openUsageBook, readUsage, USAGE_LIMITS, type UsageRow } from './usage-book.ts';
import { addedUp, NOTHING } from './usage-form.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-usage-'));
after(() => rmSync(root, { recursive: true, force: true }));
let files = 0;
const newFile = (): string => join(root, `${files++}`, 'usage.sqlite');
const ALL = { key: null, since: '0000-00-00' };
const DAY_MS = 86_400_000;
const EVENING_MS = Date.UTC(2026, 10, 29, 23, 59);

test('whatever comes in which order and is written when, the sums are right', () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        key: fc.constantFrom('a', 'b'),
        model: fc.constantFrom('', 'm', 'm 2'),
        requests: fc.nat(3),
        input_tokens: fc.nat(100),
      }),
    },
    { weight: 1, arbitrary: fc.constantFrom('wait' as const, 'restart' as const, 'look' as const, 'day' as const) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const clock = handClock(EVENING_MS);
      const path = newFile();
      const expected = new Map<string, UsageRow>();
      let book = openUsageBook(path, clock, assert.ifError);
      for (const one of steps) {
        if (one === 'wait') clock.move(USAGE_LIMITS.write_ms);
        else if (one === 'day') clock.move(DAY_MS);
        else if (one === 'look') book.rows(ALL);
        else if (one === 'restart') {
          book.close();
          book = openUsageBook(path, clock, assert.ifError);
        } else {
          const { key, model, ...counts } = one;
          book.add(key, model, counts);
          const day = new Date(clock.now_ms()).toISOString().slice(0, 10);
          const at = JSON.stringify([day, key, model]);
          const before = expected.get(at) ?? NOTHING;
          expected.set(at, { day, key, model, ...addedUp(before, { ...NOTHING, ...counts }) });
        }
      }
      const sorted = (rows: readonly UsageRow[]) =>
        [...rows].map((row) => JSON.stringify(row, Object.keys(row).sort())).sort();
      assert.deepEqual(sorted(book.rows(ALL)), sorted([...expected.values()]));
      assert.deepEqual(
        sorted(book.rows({ ...ALL, key: 'a' })),
        sorted([...expected.values()].filter(({ key }) => key === 'a')),
      );
      book.close();
      assert.deepEqual(sorted(readUsage(path, ALL)), sorted([...expected.values()]));
    }),
    { numRuns: 15 },
  );
});

test('it is written after two seconds, not at each request, and a day that began at midnight is its own', () => {
  const clock = handClock(EVENING_MS);
  const path = newFile();
  const book = openUsageBook(path, clock, assert.ifError);
  for (let i = 0; i < 100; i++) book.add('a', 'm', { requests: 1 });
  clock.move(USAGE_LIMITS.write_ms - 1);
  assert.deepEqual(readUsage(path, ALL), []);
  clock.move(1);
  assert.deepEqual(readUsage(path, ALL), [{ ...NOTHING, day: '2026-11-29', key: 'a', model: 'm', requests: 100 }]);
  clock.move(60_000);
  book.add('a', 'm', { requests: 1 });
  assert.deepEqual(
    book.rows(ALL).map(({ day, requests }) => [day, requests]),
    [
      ['2026-11-30', 1],
      ['2026-11-29', 100],
    ],
  );
  assert.equal(readUsage(path, { ...ALL, since: '2026-11-30' }).length, 1);
  book.close();
});

test('two processes that keep one file add up', () => {
  const clock = handClock(EVENING_MS);
  const path = newFile();
  const books = [0, 1].map(() => openUsageBook(path, clock, assert.ifError));
  for (const book of books) book.add('a', 'm', { requests: 2, errors: 1 });
  clock.move(USAGE_LIMITS.write_ms);
  assert.deepEqual(
    books[0].rows(ALL).map(({ requests, errors }) => [requests, errors]),
    [[4, 2]],
  );
  for (const book of books) book.close();
});

test('after 400 days a day is forgotten', () => {
  const clock = handClock(EVENING_MS);
  const path = newFile();
  const book = openUsageBook(path, clock, assert.ifError);
  book.add('a', 'm', { requests: 1 });
  clock.move(400 * DAY_MS);
  book.add('a', 'm', { requests: 1 });
  assert.equal(book.rows(ALL).length, 2);
  clock.move(DAY_MS);
  book.add('a', 'm', { requests: 1 });
  assert.equal(book.rows(ALL).length, 2);
  book.close();
});

test('a file that cannot be written stops nobody; what was counted is written when it can be, and memory has an end', () => {
  const clock = handClock(EVENING_MS);
  const path = newFile();
  const errors: unknown[] = [];
  const book = openUsageBook(path, clock, (error) => errors.push(error));
  const other = new DatabaseSync(path);
  other.exec('BEGIN IMMEDIATE');
  book.add('a', 'm', { requests: 1 });
  clock.move(USAGE_LIMITS.write_ms);
  book.add('a', 'm', { requests: 1 });
  assert.equal(book.rows(ALL)[0].requests, 2);
  clock.move(10 * USAGE_LIMITS.write_ms);
  assert.equal(errors.length, 1, 'it is told once, not every two seconds');
  for (let i = 0; i < USAGE_LIMITS.waiting + 10; i++) book.add(`${i}`, 'm', { requests: 1 });
  other.exec('ROLLBACK');
  other.close();
  clock.move(USAGE_LIMITS.write_ms);
  assert.equal(readUsage(path, ALL).length, USAGE_LIMITS.waiting);
  assert.equal(readUsage(path, { ...ALL, key: 'a' })[0].requests, 2);
  const again = new DatabaseSync(path);
  again.exec('BEGIN IMMEDIATE');
  book.add('a', 'm', { requests: 1 });
  clock.move(USAGE_LIMITS.write_ms);
  assert.equal(errors.length, 2, 'and again when it has been written meanwhile');
  again.close();
  book.close();
});

test('nobody else of this machine reads it', { skip: process.platform === 'win32' }, () => {
  const clock = handClock(EVENING_MS);
  const path = newFile();
  const book = openUsageBook(path, clock, assert.ifError);
  book.add('a', 'm', { requests: 1 });
  book.rows(ALL);
  for (const end of ['', '-wal', '-shm']) assert.equal(statSync(`${path}${end}`).mode & 0o077, 0, end);
  book.close();
});
