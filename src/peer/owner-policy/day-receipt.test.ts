// Receipts of days: sums that follow from what they count, a chain that shows what is missing, and days that no clock makes longer or shorter.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { signEvent } from '../../protocol/envelope.ts';
import { createIdentity } from '../../protocol/identity.ts';
import {
  beginRun,
  closableDays,
  type DayBook,
  DayBookSchema,
  handIn,
  newDayBook,
  type Spent,
  seeRun,
  spend,
  today,
} from './day-book.ts';
import { chainProblem, howMeasured, kilowattHours, openDayReceipt, signDay, sumsOf } from './day-receipt.ts';
import type { Value } from './worth.ts';

const ZONE = 'Europe/Berlin';
const RUN = 'a'.repeat(64);
const HUB = 'b'.repeat(64);
const MINUTE_MS = 60_000;
const BY_SHARE: Value = { of: 'share', micro_per_million: 2_000_000 };
const PLACE = { time_zone: ZONE, currency: 'EUR' };

const worked = (more: Partial<Spent> = {}): Spent => ({
  ...{ passed_ms: MINUTE_MS, doing: 'run', code: null, run: RUN, energy: { how: 'measured', joules: 6000 } },
  ...{ price_per_kwh: 0.3, wear_per_hour: 0.06, ...more },
});
const told = (merged_rounds: number, paid: { round: number; units: number; shares: number }[], lost_shares = 0) => ({
  ...{ hub: HUB, run: RUN, unit: 'tokens', merged_rounds, merged_units: merged_rounds * 1000 },
  ...{ worker_shares_per_round: 500, paid, lost_shares },
});

/** Minute by minute from one moment to another, always at work. */
function through(book: DayBook, from: string, to: string): void {
  for (let at_ms = Date.parse(from); at_ms < Date.parse(to); at_ms += MINUTE_MS)
    spend(book, today(book, at_ms, ZONE), at_ms, worked());
}

test('a day has the hours that its clocks give it: 23, 24 or 25', () => {
  for (const [from, to, hours] of [
    ['2026-03-28T23:00Z', '2026-03-29T22:00Z', 23],
    ['2026-06-10T22:00Z', '2026-06-11T22:00Z', 24],
    ['2026-10-24T22:00Z', '2026-10-25T23:00Z', 25],
  ] as const) {
    const book = newDayBook();
    through(book, from, to);
    assert.equal(book.days.length, 1, from);
    const { counts } = book.days[0];
    assert.equal(counts.working_ms, hours * 60 * MINUTE_MS);
    // 100 W at 0.30 and wear of 0.06 an hour.
    assert.deepEqual(sumsOf(counts), { earned_micro: 0, cost_micro: hours * 90_000 });
    assert.deepEqual([kilowattHours(counts).toFixed(3), howMeasured(counts)], [(hours / 10).toFixed(3), 'measured']);
  }
});

test('a clock that is set makes another day, and no minute more or less', () => {
  const book = newDayBook();
  through(book, '2026-06-11T10:00Z', '2026-06-11T10:10Z');
  through(book, '2031-01-01T10:00Z', '2031-01-01T10:05Z');
  through(book, '2026-06-11T10:15Z', '2026-06-11T10:20Z');
  assert.deepEqual(
    book.days.map(({ day, counts }) => [day, counts.working_ms / MINUTE_MS]),
    [
      ['2026-06-11', 10],
      ['2031-01-01', 5],
      ['2026-06-11', 5],
    ],
  );
  assert.equal(closableDays(book, Date.parse('2026-06-11T10:20Z')).length, 2);
});

test('work counts on the day on which it was done, as long as that day is open', () => {
  const book = newDayBook();
  const evening = Date.parse('2026-06-11T21:50Z');
  const morning = Date.parse('2026-06-12T06:00Z');
  const day = today(book, evening, ZONE);
  beginRun(book, told(7, []));
  handIn(book, day, RUN, { round: 7, units: 100 }, BY_SHARE);
  handIn(book, day, RUN, { round: 7, units: 100 }, BY_SHARE); // heard twice
  handIn(book, day, RUN, { round: 8, units: 50 }, BY_SHARE);
  const next = today(book, morning, ZONE);
  assert.deepEqual(closableDays(book, morning), []);
  seeRun(book, next, told(8, [{ round: 7, units: 100, shares: 40 }]), BY_SHARE);
  assert.deepEqual(closableDays(book, morning), []);
  seeRun(book, next, told(9, [{ round: 7, units: 100, shares: 40 }]), BY_SHARE); // the second was refused
  seeRun(book, next, told(9, [{ round: 7, units: 100, shares: 40 }], 15), BY_SHARE); // and something lost
  assert.deepEqual(closableDays(book, morning), [day]);
  const line = { run: RUN, hub: HUB, unit: 'tokens', value_of: 'share', micro_per_million: 2_000_000 };
  assert.deepEqual(day.counts.work, [{ ...line, handed_in: 150, verified: 100, shares: 40 }]);
  assert.deepEqual(next.counts.work, [{ ...line, handed_in: 0, verified: 0, shares: -15 }]);
  assert.deepEqual([sumsOf(day.counts).earned_micro, sumsOf(next.counts).earned_micro], [80, -30]);
  const { record } = book.runs[RUN];
  assert.deepEqual([record.handed_in, record.decided, record.verified], [150, 150, 100]);
  assert.deepEqual(DayBookSchema.parse(JSON.parse(JSON.stringify(book))), book);
});

test('verdicts are waited for a day, not for ever', () => {
  const book = newDayBook();
  const evening = Date.parse('2026-06-11T21:50Z');
  beginRun(book, told(7, []));
  handIn(book, today(book, evening, ZONE), RUN, { round: 7, units: 100 }, null);
  today(book, evening + 20 * MINUTE_MS, ZONE);
  assert.equal(closableDays(book, evening + 24 * 60 * MINUTE_MS).length, 0);
  assert.equal(closableDays(book, evening + 24 * 60 * MINUTE_MS + 1).length, 1);
});

test('what is owed is rounded once, against the device, and never by floating point', () => {
  const drawn = fc.record({
    millijoules: fc.integer({ min: 0, max: 1e13 }),
    micro_per_kwh: fc.integer({ min: -1e8, max: 1e8 }),
    worked_ms: fc.integer({ min: 0, max: 9e7 }),
    micro_per_hour: fc.integer({ min: 0, max: 1e8 }),
  });
  fc.assert(
    fc.property(drawn, ({ millijoules, micro_per_kwh, worked_ms, micro_per_hour }) => {
      const counts = {
        ...today(newDayBook(), 0).counts,
        energy: [{ how: 'stated' as const, micro_per_kwh, millijoules }],
        wear: [{ micro_per_hour, worked_ms }],
      };
      const exact = BigInt(millijoules) * BigInt(micro_per_kwh) + BigInt(worked_ms) * BigInt(micro_per_hour) * 1000n;
      const { cost_micro } = sumsOf(counts);
      const above = BigInt(cost_micro) * 3_600_000_000n - exact;
      assert.ok(above >= 0n && above < 3_600_000_000n, `${above}`);
    }),
  );
});

test('a receipt says what was counted, signed; a changed one is not valid, and a wrong sum is told', async () => {
  const identity = createIdentity();
  const book = newDayBook();
  through(book, '2026-06-11T10:00Z', '2026-06-11T10:10Z');
  spend(book, book.days[0], Date.parse('2026-06-11T10:11Z'), worked({ doing: 'pause', code: 'in-use', energy: null }));
  spend(book, book.days[0], Date.parse('2026-06-11T10:12Z'), worked({ energy: null, price_per_kwh: null }));
  const bytes = await signDay(identity, book.days[0], { number: 1, previous: null }, PLACE);
  const { device, body } = openDayReceipt(bytes);
  assert.equal(device, identity.id);
  assert.deepEqual(body.paused, [{ code: 'in-use', paused_ms: MINUTE_MS }]);
  assert.deepEqual([body.day, body.currency, body.unknown_energy_ms], ['2026-06-11', 'EUR', MINUTE_MS]);
  assert.equal(howMeasured(body), 'measured and unknown');
  for (let at = 4; at < bytes.length; at += 37) {
    const changed = bytes.slice();
    changed[at] ^= 1;
    assert.throws(() => openDayReceipt(changed));
  }
  const lie = await signEvent(identity, { ...body, earned_micro: 1_000_000 } as never);
  assert.throws(() => openDayReceipt(lie), /earned_micro: expected 0 from what it counts, got 1000000/);
  const other = await signEvent(identity, { type: 'tick', version: 1 });
  assert.throws(() => openDayReceipt(other), /expected a receipt of a day, got a signed "tick"/);
});

test('receipts follow each other: one that is missing, replaced or of another device shows', async () => {
  const [identity, stranger] = [createIdentity(), createIdentity()];
  const day = today(newDayBook(), Date.parse('2026-06-11T10:00Z'), ZONE);
  const signed = async (by: typeof identity, number: number, previous: string | null) =>
    openDayReceipt(await signDay(by, day, { number, previous }, PLACE));
  const first = await signed(identity, 1, null);
  const second = await signed(identity, 2, first.id);
  const third = await signed(identity, 3, second.id);
  assert.equal(chainProblem([first, second, third]), null);
  assert.match(chainProblem([first, third])!, /expected receipt 2, got number 3: one is missing/);
  assert.match(chainProblem([second, third])!, /expected receipt 1, got number 2/);
  const replaced = openDayReceipt(
    await signDay(identity, { ...day, to_ms: day.to_ms + 1 }, { number: 2, previous: first.id }, PLACE),
  );
  assert.match(chainProblem([first, replaced, third])!, /receipt 3 does not follow the one before it/);
  assert.match(chainProblem([first, await signed(stranger, 2, first.id)])!, /receipt 2 is signed by another device/);
});
