// Days by the clocks on the wall of a time zone: which one a moment is in, and when it begins and ends. Some have 23 hours, some 25.

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Zones reach from 12 hours behind UTC to 14 ahead. */
const FARTHEST_MS = 27 * HOUR_MS;
const DAY_FORM = /^\d{4}-\d{2}-\d{2}$/;

const formats = new Map<string | undefined, Intl.DateTimeFormat>();

/** The day at a moment, such as "2026-11-29". `time_zone` as in IANA's database; undefined: this machine's. */
export function dayAt(now_ms: number, time_zone?: string): string {
  let format = formats.get(time_zone);
  if (!format) {
    const shown = { year: 'numeric', month: '2-digit', day: '2-digit' } as const;
    format = new Intl.DateTimeFormat('en-GB', { ...shown, timeZone: time_zone });
    formats.set(time_zone, format);
  }
  const parts = format.formatToParts(now_ms);
  const part = (type: string): string => parts.find((one) => one.type === type)!.value;
  return `${part('year').padStart(4, '0')}-${part('month')}-${part('day')}`;
}

/** When a day begins and the next one does, in milliseconds since 1970; null for a text that is no day of the calendar there. */
export function boundsOfDay(
  day: string,
  time_zone?: string,
): { readonly from_ms: number; readonly to_ms: number } | null {
  const utc_ms = DAY_FORM.test(day) ? Date.parse(`${day}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(utc_ms) || new Date(utc_ms).toISOString().slice(0, 10) !== day) return null;
  const from_ms = firstMinute(utc_ms, (at_ms) => dayAt(at_ms, time_zone) >= day);
  const to_ms = firstMinute(utc_ms + 24 * HOUR_MS, (at_ms) => dayAt(at_ms, time_zone) > day);
  return from_ms < to_ms ? { from_ms, to_ms } : null;
}

/** The first minute around a moment at which something is so that stays so. Midnight itself may be what summer time skips. */
function firstMinute(around_ms: number, isSo: (at_ms: number) => boolean): number {
  let [before, after] = [(around_ms - FARTHEST_MS) / MINUTE_MS, (around_ms + FARTHEST_MS) / MINUTE_MS];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (isSo(middle * MINUTE_MS)) after = middle;
    else before = middle;
  }
  return after * MINUTE_MS;
}
