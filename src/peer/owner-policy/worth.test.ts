// Whether work is worth it: what is not known yet is found out cheaply, what is refused counts, and every answer says why.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginRun, handIn, newDayBook, seeRun, spend, today } from './day-book.ts';
import { afterDecision, afterTime, hourOfWork, NO_RECORD, valueSet, type WorkRecord, type WorthSeen } from './worth.ts';

const HOUR_MS = 3_600_000;
/** 1000 units an hour, of which half is decided. */
const RECORD: WorkRecord = {
  ...{ worked_ms: 4 * HOUR_MS, handed_in: 4000, decided: 2000, verified: 2000, shares: 200, expected_shares: 200 },
};
const FRESH = { worked_ms: 0, net_micro: 0, open_units: 0, open_ms: 0 };
const seen = (more: Partial<WorthSeen> = {}): WorthSeen => ({
  ...{
    value: { of: 'unit', micro_per_million: 50_000_000 },
    record: RECORD,
    shares_per_unit: 0.1,
    watts: { known: 100 },
  },
  ...{
    price_per_kwh: 0.3,
    usual_price_per_kwh: () => 0.3,
    wear_per_hour: 0.01,
    currency: 'EUR',
    today: FRESH,
    ...more,
  },
});
const known = (more: Partial<WorthSeen> = {}) => {
  const signal = hourOfWork(seen(more));
  assert.ok('known' in signal, JSON.stringify(signal));
  return signal.known;
};

test('an hour earns by units or by shares, and costs electricity and wear', () => {
  const { earns_micro, costs_micro, message } = known();
  assert.deepEqual([earns_micro, costs_micro], [50_000, 40_000]);
  assert.equal(message, 'an hour of work earns 0.0500 EUR and costs 0.0400 EUR now (100 W at 0.3 a kWh, wear 0.01)');
  assert.equal(
    known({ value: valueSet({ value_per_share: 0.002, value_per_million_units: null })! }).earns_micro,
    200_000,
  );
  assert.equal(valueSet({ value_per_share: null, value_per_million_units: null }), null);
  assert.deepEqual(valueSet({ value_per_share: null, value_per_million_units: 50 }), seen().value);
});

test('refused work and pay below what a run pays others lower it, by and by', () => {
  assert.equal(known({ record: { ...RECORD, verified: 500 } }).earns_micro, 25_000); // (500 + 1000) of (2000 + 1000)
  const value = { of: 'share', micro_per_million: 1_000_000 } as const;
  assert.equal(known({ value, record: { ...RECORD, shares: 50 } }).earns_micro, 50); // half of 100
  assert.equal(known({ value, shares_per_unit: null }).earns_micro, 100); // its own pay, where nobody tells the run's
});

test('what is not known yet is found out for an hour a day, while electricity is not dear', () => {
  for (const more of [{ record: NO_RECORD }, { watts: 'not-yet' as const }]) {
    assert.equal(known(more).earns_micro, null);
    assert.equal(known({ ...more, usual_price_per_kwh: () => 0.29 }).earns_micro, 0);
    assert.equal(known({ ...more, today: { ...FRESH, worked_ms: HOUR_MS } }).earns_micro, 0);
  }
});

test('what cannot be told is unknown, but where electricity is free its amount does not matter', () => {
  const watts = { unknown: 'nothing measures it' };
  assert.deepEqual(hourOfWork(seen({ watts })), watts);
  assert.equal(known({ watts, price_per_kwh: 0 }).costs_micro, 10_000);
  assert.deepEqual(hourOfWork(seen({ price_per_kwh: null })), { unknown: 'the tariff has no price for this hour' });
});

test('a day is at risk while what is not decided could end it below zero', () => {
  const risk = (today: Partial<WorthSeen['today']>): boolean => known({ today: { ...FRESH, ...today } }).at_risk;
  assert.equal(risk({}), true); // it has nothing yet
  assert.equal(risk({ net_micro: 1 }), false);
  assert.equal(risk({ net_micro: -89_000, open_units: 2000 }), false); // 2000 units promise 100,000, of which 90,000 are taken to come
  assert.equal(risk({ net_micro: -90_000, open_units: 2000 }), true);
  assert.equal(risk({ net_micro: -44_000, open_ms: HOUR_MS }), false);
});

test('a record fades by work and by time, and keeps its proportions', () => {
  const faded = afterTime(RECORD, { worked_ms: 8 * HOUR_MS, passed_ms: 0 });
  assert.deepEqual([faded.handed_in, faded.worked_ms], [2000, 10 * HOUR_MS]);
  assert.equal(afterTime(RECORD, { worked_ms: 0, passed_ms: 7 * 24 * HOUR_MS }).handed_in, 2000);
  const more = afterDecision(RECORD, { units: 100, verified: 0, shares: 0, shares_per_unit: 0.1 });
  assert.deepEqual([more.decided, more.verified, more.expected_shares], [2100, 2000, 210]);
});

test('a device that was away from a run is told what a round pays with it, not without it', () => {
  const book = newDayBook();
  const day = today(book, 0, 'UTC');
  const run = 'a'.repeat(64);
  const told = { hub: run, run, unit: 'tokens', worker_shares_per_round: 100, lost_shares: 0 };
  beginRun(book, { ...told, merged_rounds: 0 });
  handIn(book, day, run, { round: 0, units: 100 }, null);
  const shares = () => book.runs[run].shares_per_unit;
  seeRun(
    book,
    day,
    { ...told, merged_rounds: 1, merged_units: 400, paid: [{ round: 0, units: 100, shares: 25 }] },
    null,
  );
  assert.equal(shares(), 0.25); // 100 for its 100 and the others' 300
  seeRun(book, day, { ...told, merged_rounds: 3, merged_units: 1000, paid: [] }, null);
  assert.equal(shares(), 0.25); // two rounds of others' 300
  spend(book, day, 1, {
    passed_ms: 60_000,
    doing: 'run',
    code: null,
    run,
    energy: null,
    price_per_kwh: null,
    wear_per_hour: 0,
  });
  assert.equal(book.runs[run].open_ms, 60_000);
});
