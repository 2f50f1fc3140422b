// `potluck device receipts` as a spreadsheet takes it: a line a day, money exact, and no cell that a spreadsheet would compute.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csvOf, dayLines, type ShownDay } from './device-receipts.ts';

const DAY: ShownDay = {
  ...{ device: 'c'.repeat(64), id: 'd'.repeat(64), number: 7, day: '2026-11-28', from_ms: 0, to_ms: 86_400_000 },
  ...{ currency: 'EUR', earned_micro: 1_234_567, cost_micro: -200_001, working_ms: 5_400_000, slower_ms: 0 },
  ...{
    unknown_energy_ms: 60_000,
    wear: [],
    energy: [{ how: 'measured', micro_per_kwh: -1, millijoules: 1_800_000_000 }],
  },
  paused: [
    { code: 'in-use', paused_ms: 90_000 },
    { code: 'not-worth-it', paused_ms: 3_600_000 },
  ],
  work: [
    {
      ...{ run: 'a'.repeat(64), hub: 'b'.repeat(64), unit: '=SUM(A1), "tokens"', handed_in: 9, verified: 8, shares: 5 },
      ...{ value_of: 'share', micro_per_million: 1 },
    },
  ],
};

test('a line a day for a spreadsheet', () => {
  const [heading, line, end] = csvOf([DAY]).split('\r\n');
  assert.equal(heading.split(',').length, 17);
  assert.equal(end, '');
  assert.equal(
    line,
    [
      ...[
        '2026-11-28',
        'c'.repeat(64),
        '7',
        '1970-01-01T00:00:00.000Z',
        '1970-01-02T00:00:00.000Z',
        '1.500',
        '0.500000',
      ],
      ...['measured and unknown', 'EUR', '1.234567', '-0.200001', '1.434568'],
      ...['"9 =SUM(A1), ""tokens"""', '"8 =SUM(A1), ""tokens"""', '5', '61.5', 'in-use 1.5; not-worth-it 60.0'],
    ].join(','),
  );
});

test('a day in words, the longest pause first', () => {
  const text = dayLines(DAY);
  assert.match(text, /^2026-11-28 \(receipt 7 of cccccccccccc\)\n {2}worked {2}1 h 30 min\n/);
  assert.match(text, /energy {2}0\.5 kWh, measured and unknown \(1 min of work without\)/);
  assert.match(
    text,
    /earned {2}1\.23 EUR, cost -0\.2000 EUR, net 1\.43 EUR\n {2}paused {2}1 h not-worth-it, 1 min 30 s in-use/,
  );
  assert.match(dayLines({ ...DAY, device: null }), /not over yet, or its work is not judged/);
});
