// Hours of the week: as people write them, over midnight and Sunday and in time zones with summer time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clockWords, isInside, minuteOfWeek, parseWeekHours } from './week-hours.ts';

const DAY = 24 * 60;
const at = (day: number, hour: number, minute = 0): number => day * DAY + hour * 60 + minute;

test('hours are read as people write them', () => {
  const night = parseWeekHours('mon-fri 22:00-07:00');
  for (const [minute, inside] of [
    [at(0, 21, 59), false],
    [at(0, 22), true],
    [at(1, 6, 59), true],
    [at(1, 7), false],
    [at(5, 6), true], // Friday night ends on Saturday
    [at(5, 22), false],
    [at(0, 6), false], // Sunday night is not meant
  ] as const) {
    assert.equal(isInside(night, minute), inside, clockWords(minute));
  }
  const sunday = parseWeekHours('sun 22:00-07:00');
  assert.ok(isInside(sunday, at(0, 6, 59)) && isInside(sunday, at(6, 23)) && !isInside(sunday, at(6, 6)));
  assert.deepEqual(parseWeekHours(' Sat,SUN  0:00 - 24:00 '), parseWeekHours('sat-sun 00:00-24:00'));
  assert.ok(isInside(parseWeekHours('fri-mon 10:00-11:00'), at(0, 10)));
  assert.ok(!isInside(parseWeekHours('fri-mon 10:00-11:00'), at(1, 10)));
});

test('what is no hours is refused with what was expected', () => {
  const wrong = [
    '',
    '22:00',
    '8:00-8:00',
    '25:00-26:00',
    '10:60-11:00',
    'mon 24:00-07:00',
    'mo 10:00-11:00',
    'mon-tue-wed 1:00-2:00',
    'mon, 1:00-2:00',
    '10:00-24:01',
    '- 10:00-11:00',
  ];
  for (const text of wrong)
    assert.throws(() => parseWeekHours(text), /expected hours such as "mon-fri 22:00-07:00"/, text);
});

test('a day has as many minutes as its hours say', () => {
  const minute = fc.integer({ min: 0, max: DAY - 1 });
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = (value: number): string => `${two(Math.floor(value / 60))}:${two(value % 60)}`;
  fc.assert(
    fc.property(minute, minute, (from, to) => {
      fc.pre(from !== to);
      const spans = parseWeekHours(`tue,wed ${clock(from)}-${clock(to)}`);
      const inside = Array.from({ length: 7 * DAY }, (_, i) => i).filter((one) => isInside(spans, one));
      assert.equal(inside.length, 2 * ((to - from + DAY) % DAY));
      assert.ok(isInside(spans, at(1, 0, from)) && !isInside(spans, at(2, 0, to) + (to < from ? DAY : 0)));
    }),
    { numRuns: 50 },
  );
});

test('the clock on the wall is that of the zone, in summer and in winter', () => {
  const words = (when: string, zone: string): string => clockWords(minuteOfWeek(Date.parse(when), zone));
  assert.equal(words('2026-07-15T12:00:00Z', 'Europe/Berlin'), 'wed 14:00');
  assert.equal(words('2026-01-14T12:00:00Z', 'Europe/Berlin'), 'wed 13:00');
  assert.equal(words('2026-01-14T23:30:00Z', 'Asia/Kolkata'), 'thu 05:00');
  // The night in which an hour is skipped, and the one in which it comes twice.
  assert.deepEqual(
    ['2026-03-29T00:59:00Z', '2026-03-29T01:00:00Z'].map((when) => words(when, 'Europe/Berlin')),
    ['sun 01:59', 'sun 03:00'],
  );
  assert.deepEqual(
    ['2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z'].map((when) => words(when, 'Europe/Berlin')),
    ['sun 02:30', 'sun 02:30'],
  );
});
