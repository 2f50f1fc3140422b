// Hours of the week as people write them ("mon-fri 22:00-07:00"), and the local time that they are compared with.
// They are wall-clock hours: where summer time skips an hour it never comes, where it repeats one it counts twice.
import { OwnerPolicyError } from './errors.ts';

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const DAY_MINUTES = 24 * 60;
export const WEEK_MINUTES = 7 * DAY_MINUTES;

/** From a minute of the week (0: Monday, 00:00) to another one, which is not in it; the second is larger, at most 10,080. */
export interface WeekSpan {
  readonly from: number;
  readonly to: number;
}

const FORM = /^(?:([a-z,-]+) +)?(\d{1,2}):(\d{2}) *- *(\d{1,2}):(\d{2})$/;

/**
 * Reads "22:00-07:00" (every day), "mon-fri 18:00-23:30" or "sat,sun 00:00-24:00". Hours that end before they begin go on into the next day.
 * Throws OwnerPolicyError `bad-device-settings`.
 */
export function parseWeekHours(text: string): WeekSpan[] {
  const [, days = 'mon-sun', ...clock] = FORM.exec(text.trim().toLowerCase()) ?? [];
  const [fromHour, fromMinute, toHour, toMinute] = clock.map(Number);
  const [from, to] = [fromHour * 60 + fromMinute, toHour * 60 + toMinute];
  const named = days.split(',').map(daysOf);
  const inForm = clock.length === 4 && fromMinute < 60 && toMinute < 60 && from < DAY_MINUTES && to <= DAY_MINUTES;
  if (!inForm || from === to || named.includes(null)) {
    throw wrong(
      `expected hours such as "mon-fri 22:00-07:00" (the whole day: 00:00-24:00), got "${text.slice(0, 60)}"`,
    );
  }
  const length = to > from ? to - from : to + DAY_MINUTES - from;
  return [...new Set(named.flatMap((found) => found!))].flatMap((day) => {
    const start = day * DAY_MINUTES + from;
    const end = start + length;
    if (end <= WEEK_MINUTES) return [{ from: start, to: end }];
    return [
      { from: start, to: WEEK_MINUTES },
      { from: 0, to: end - WEEK_MINUTES },
    ];
  });
}

/** "mon" or "fri-mon" as numbers of days; null where it is neither. */
function daysOf(text: string): number[] | null {
  const [first, last, more] = text.split('-').map((day) => DAYS.indexOf(day as (typeof DAYS)[number]));
  if (first < 0 || last === -1 || more !== undefined) return null;
  const count = last === undefined ? 1 : ((last - first + 7) % 7) + 1;
  return Array.from({ length: count }, (_, i) => (first + i) % 7);
}

export const isInside = (spans: readonly WeekSpan[], minute: number): boolean =>
  spans.some(({ from, to }) => minute >= from && minute < to);

/** The minute of the week at a moment, by the clocks on the wall there. `time_zone` as in IANA's database; undefined: this machine's. */
export function minuteOfWeek(now_ms: number, time_zone?: string): number {
  const parts = formatFor(time_zone).formatToParts(now_ms);
  const part = (type: string): string => parts.find((one) => one.type === type)!.value;
  const day = DAYS.indexOf(part('weekday').toLowerCase() as (typeof DAYS)[number]);
  return day * DAY_MINUTES + Number(part('hour')) * 60 + Number(part('minute'));
}

const formats = new Map<string | undefined, Intl.DateTimeFormat>();

/** Making one takes a thousand times as long as using it. */
function formatFor(timeZone: string | undefined): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (!format) {
    const shown = { weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
    format = new Intl.DateTimeFormat('en-GB', { ...shown, timeZone });
    formats.set(timeZone, format);
  }
  return format;
}

/** 1500 → "tue 01:00". */
export function clockWords(minute: number): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const ofDay = minute % DAY_MINUTES;
  return `${DAYS[Math.floor(minute / DAY_MINUTES)]} ${two(Math.floor(ofDay / 60))}:${two(ofDay % 60)}`;
}

const wrong = (message: string): OwnerPolicyError => new OwnerPolicyError('bad-device-settings', message);
