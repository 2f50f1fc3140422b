// A length of time in words, the same words wherever people read one.

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 365.25 * DAY_MS;

/** Lengths below each bound are written in these two units: rounded to the smaller one, which is left out when it is zero. */
const UNITS = [
  { below_ms: HOUR_MS, large: ['min', MINUTE_MS], small: ['s', SECOND_MS] },
  { below_ms: 2 * DAY_MS, large: ['h', HOUR_MS], small: ['min', MINUTE_MS] },
  { below_ms: 10 * DAY_MS, large: ['days', DAY_MS], small: ['h', HOUR_MS] },
  { below_ms: 1000 * DAY_MS, large: ['days', DAY_MS], small: ['days', DAY_MS] },
  { below_ms: Number.POSITIVE_INFINITY, large: ['years', YEAR_MS], small: ['years', YEAR_MS] },
] as const;

/** 95_000 → "1 min 35 s": at most the two largest units, rounded. A negative length counts as zero. */
export function formatDuration(duration_ms: number): string {
  for (const { below_ms, large, small } of UNITS) {
    const rounded_ms = Math.round(Math.max(0, duration_ms) / small[1]) * small[1];
    if (rounded_ms >= below_ms) continue;
    const count = Math.floor(rounded_ms / large[1]);
    const rest = Math.round((rounded_ms - count * large[1]) / small[1]);
    return [count > 0 && `${count} ${large[0]}`, (rest > 0 || count === 0) && `${rest} ${small[0]}`]
      .filter(Boolean)
      .join(' ');
  }
  return 'for ever';
}
