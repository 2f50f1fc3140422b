// What the list of events is made of: its address, the search through the log, the table for spreadsheets, and what is said of an audit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { signEvent } from '../../protocol/envelope.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { doneOf, timeLeft_ms } from './audit-progress.ts';
import { openEntry } from './event-words.ts';
import { eventsAsCsv } from './events-csv.ts';
import { wordsOf } from './field-words.ts';
import { findEvents, matcherOf } from './find-events.ts';
import { EVERYTHING, formatQuery, KINDS, type LedgerQuery, numberIn, parseQuery } from './query.ts';

const names = { name: (key: string) => (key === ada.id ? 'ada' : key.slice(0, 8)), unit: () => 'tokens' };
const ada = createIdentity();
const bob = createIdentity();
const RUN = 'ab'.repeat(32);
const tick = (time_ms: number) => signEvent(bob, { type: 'tick', version: 1, time_ms });
const paused = (round: number) => signEvent(ada, { type: 'run.paused', version: 1, run: RUN, round, attempt: 0 });

/** 600 events: each tenth is ada's, the others are the clock. */
const log = await Promise.all(
  Array.from({ length: 600 }, (_, i) => (i % 10 === 0 ? paused(i) : tick(1_795_834_284_964 + i))),
);
const never = new AbortController().signal;
const find = (change: Partial<LedgerQuery>, most = 20) => {
  const query = { ...EVERYTHING, ...change };
  const where = { size: log.length, at: query.at, most };
  return findEvents(async (from, to) => log.slice(from, to), where, matcherOf(query, names), never);
};
const numbersOf = ({ entries }: Awaited<ReturnType<typeof find>>) => entries.map(({ index }) => index);

test('an address and its query are one: whatever is chosen comes back, whatever is typed is some query', () => {
  const plain = { noNullPrototype: true };
  const queries = fc.record(
    {
      text: fc.string({ maxLength: 60 }).map((text) => text.trim()),
      kinds: fc.subarray([...KINDS]),
      at: fc.option(fc.oneof(fc.record({ before: fc.nat(1e9) }, plain), fc.record({ from: fc.nat(1e9) }, plain)), {
        nil: null,
      }),
    },
    plain,
  );
  fc.assert(fc.property(queries, (query) => assert.deepEqual(parseQuery(formatQuery(query)), query)));
  fc.assert(fc.property(fc.string(), (search) => assert.ok(parseQuery(search).text.length <= 200)));
  assert.equal(formatQuery(EVERYTHING), '');
  assert.equal(
    formatQuery({ text: 'ada', kinds: ['work', 'verdict'], at: { before: 12 } }),
    '?q=ada&kind=work,verdict&before=12',
  );
});

test('a number names an event where the log has it', () => {
  assert.deepEqual(
    ['12', '#12', ' 1,234 ', '2000', '12ab', ''].map((text) => numberIn(text, 2000)),
    [12, 12, 1234, null, null, null],
  );
});

test('the newest come first, page by page in both directions, and the clock only where it is asked for', async () => {
  const first = await find({});
  assert.deepEqual(
    numbersOf(first),
    Array.from({ length: 20 }, (_, i) => 590 - 10 * i),
  );
  assert.equal(first.complete, false);
  const older = await find({ at: { before: 400 } });
  assert.deepEqual(numbersOf(older).slice(0, 2), [390, 380]);
  const newer = await find({ at: { from: 401 } });
  assert.deepEqual(
    numbersOf(newer),
    Array.from({ length: 19 }, (_, i) => 590 - 10 * i),
  );
  assert.equal(newer.complete, true);
  assert.deepEqual(numbersOf(await find({ at: { before: 25 } })), [20, 10, 0]);
  assert.deepEqual(numbersOf(await find({ kinds: ['clock'] }, 3)), [599, 598, 597]);
  assert.deepEqual(numbersOf(await find({ kinds: ['clock', 'run'] }, 3)), [599, 598, 597]);
});

test('found by a key, by a hash, by a name and by what the line says', async () => {
  const all = Array.from({ length: 60 }, (_, i) => 590 - 10 * i);
  for (const text of [ada.id, ada.id.slice(0, 10).toUpperCase(), RUN.slice(0, 8), 'ADA', 'paused the run']) {
    assert.deepEqual(numbersOf(await find({ text }, 100)), all, text);
  }
  const { id } = openEntry(log[40], 40).event!;
  assert.deepEqual(numbersOf(await find({ text: id.slice(0, 12) })), [40]);
  assert.deepEqual(numbersOf(await find({ text: bob.id }, 1000)).length, 540); // also the clock, where it is meant
  assert.deepEqual(numbersOf(await find({ text: '0'.repeat(64) })), []);
});

test('a search that is stopped stops', async () => {
  const stop = new AbortController();
  let read = 0;
  const search = findEvents(
    async (from, to) => {
      read++;
      stop.abort(new Error('enough'));
      return log.slice(from, to);
    },
    { size: log.length, at: null, most: 100 },
    () => false,
    stop.signal,
  );
  await assert.rejects(search, /enough/);
  assert.equal(read, 1);
});

test('a table that a spreadsheet reads as text, whatever somebody is called', async () => {
  const event = await signEvent(bob, {
    type: 'peer.left',
    version: 1,
    run: RUN,
    peer: ada.id,
    session: 1,
    reason: 'goodbye',
  });
  const csv = eventsAsCsv([openEntry(event, 7)], { ...names, name: () => '=HYPERLINK("http://evil.example")' });
  const [header, row] = csv.split('\r\n');
  assert.equal(header, 'event,kind,type,id,author,sentence,fields');
  assert.ok(row.startsWith(`7,device,peer.left,`));
  assert.ok(row.includes(`"'=HYPERLINK(""http://evil.example"") left"`), row);
});

test('numbers with their units', () => {
  assert.match(wordsOf('time_ms', 1_795_834_284_964), /November 2026.* \(1795834284964\)$/);
  assert.equal(wordsOf('round_ms', 95_000), '1 min 35 s (95000)');
  assert.equal(wordsOf('round_ms', 400), '400');
  assert.equal(wordsOf('size_bytes', 33_112), '33 kB (33112)');
  assert.equal(wordsOf('loss_micro', 2_451_000), '2.451000 (2451000)');
  assert.equal(wordsOf('amount', 33_112), '33,112');
});

test('the time that an audit has left follows the slower of events and models', () => {
  assert.equal(doneOf({ events: 50, size: 100, models: 0 }, 0), 0.5);
  assert.equal(doneOf({ events: 100, size: 100, models: 5 }, 20), 0.25);
  assert.equal(doneOf({ events: 0, size: 0, models: 0 }, 0), 0);
  assert.equal(timeLeft_ms(0.25, 10_000), 30_000);
  assert.equal(timeLeft_ms(0.001, 10_000), null);
  assert.equal(timeLeft_ms(0.5, 100), null);
  assert.equal(timeLeft_ms(1, 10_000), null);
});
