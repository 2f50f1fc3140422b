// Tariffs: one price at each minute of the week, days with prices of their own, and summer time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { boundsOfDay, dayAt } from './local-day.ts';
import { readDeviceSettings } from './settings.ts';
import { checkTariff, oneCurrency, priceAt } from './tariff.ts';
import { parseWeekHours } from './week-hours.ts';

test('a tariff has one price at each minute, or says where it has none or two', () => {
  const price = (price_per_kwh: number, ...lines: string[]) => ({
    price_per_kwh,
    spans: lines.flatMap(parseWeekHours),
  });
  const whole = [price(0.1, '22:00-06:00'), price(0.3, 'mon-fri 06:00-22:00'), price(-0.05, 'sat,sun 06:00-22:00')];
  checkTariff(whole);
  const table = { tariff: whole, tariff_days: null, time_zone: 'Europe/Berlin' };
  assert.deepEqual(
    ['2026-11-23T02:00Z', '2026-11-23T12:00Z', '2026-11-29T12:00Z'].map((when) => priceAt(table, Date.parse(when))),
    [0.1, 0.3, -0.05],
  );
  assert.throws(() => checkTariff(whole.slice(0, 2)), /got no price for sat 06:00/);
  assert.throws(() => checkTariff([...whole, price(0.5, 'thu 12:00-13:00')]), /got 2 prices for thu 12:00/);
  assert.throws(() => checkTariff([price(0.1, 'mon-sat 00:00-24:00')]), /got no price for sun 00:00/);
  assert.throws(() => checkTariff([price(0.1, '00:01-24:00')]), /got no price for mon 00:00/);
  assert.throws(() => checkTariff([]), /got no price for mon 00:00/);
});

test('a day of its own goes before the week, hour by hour, also where one is skipped or comes twice', () => {
  const prices = (hours: number) => Array.from({ length: hours }, (_, i) => i);
  const table = readDeviceSettings({
    time_zone: 'Europe/Berlin',
    tariff: [{ hours: ['00:00-24:00'], price_per_kwh: 99 }],
    tariff_days: [
      { day: '2026-03-29', prices: prices(23) },
      { day: '2026-10-25', prices: prices(25) },
    ],
  });
  for (const [when, price] of [
    ['2026-03-28T22:59Z', 99],
    ['2026-03-28T23:00Z', 0], // midnight in Berlin
    ['2026-03-29T00:59Z', 1],
    ['2026-03-29T01:00Z', 2], // 03:00 on the wall
    ['2026-03-29T21:59Z', 22],
    ['2026-03-29T22:00Z', 99],
    ['2026-10-25T00:30Z', 2], // 02:30 for the first time
    ['2026-10-25T01:30Z', 3],
    ['2026-10-25T22:59Z', 24],
    ['2026-10-25T23:00Z', 99],
  ] as const) {
    assert.equal(priceAt(table, Date.parse(when)), price, when);
  }
  assert.equal(priceAt({ ...table, tariff: null }, Date.parse('2026-03-30T12:00Z')), null);
});

test('every moment is in the day that begins before it and ends after it', () => {
  const zones = ['UTC', 'Europe/Berlin', 'Asia/Beirut', 'America/Santiago', 'Australia/Lord_Howe', 'Pacific/Apia'];
  const when = fc.integer({ min: Date.UTC(2015), max: Date.UTC(2035) });
  fc.assert(
    fc.property(fc.constantFrom(...zones), when, (zone, now_ms) => {
      const { from_ms, to_ms } = boundsOfDay(dayAt(now_ms, zone), zone)!;
      assert.ok(from_ms <= now_ms && now_ms < to_ms);
      assert.notEqual(dayAt(from_ms - 1, zone), dayAt(now_ms, zone));
      assert.equal(dayAt(to_ms - 1, zone), dayAt(now_ms, zone));
      const hours = (to_ms - from_ms) / 3_600_000;
      assert.ok(hours >= 23 && hours <= 25, `${hours} hours`);
    }),
    { numRuns: 200 },
  );
  assert.equal(boundsOfDay('2011-12-30', 'Pacific/Apia'), null); // skipped there, with the date line
  for (const no of ['2026-13-01', '2026-02-30', 'today', '2026-1-1', ''])
    assert.equal(boundsOfDay(no, 'UTC'), null, no);
});

test('all prices are in one currency', () => {
  assert.equal(oneCurrency(null, [undefined, 'EUR', 'EUR']), 'EUR');
  assert.equal(oneCurrency('CHF', [undefined]), 'CHF');
  assert.equal(oneCurrency(null, [undefined]), null);
  assert.throws(() => oneCurrency(null, ['EUR', 'CHF']), /expected one currency .*got EUR and CHF/);
  assert.throws(() => oneCurrency(null, ['eur']), /three letters of a currency, such as EUR, got "eur"/);
});
