// What electricity costs from hour to hour: a table of the week, and days that have prices of their own, by the clocks on the wall.
import { OwnerPolicyError } from './errors.ts';
import { boundsOfDay } from './local-day.ts';
import { clockWords, isInside, minuteOfWeek, WEEK_MINUTES, type WeekSpan } from './week-hours.ts';

const HOUR_MS = 3_600_000;

/** A price during some hours of every week; below zero where who uses electricity is paid for it. */
export interface Price {
  readonly spans: readonly WeekSpan[];
  readonly price_per_kwh: number;
}

/** The prices of one day, one for each of its hours. */
export interface DayPrices {
  readonly from_ms: number;
  readonly to_ms: number;
  readonly prices: readonly number[];
}

export interface Tariff {
  readonly tariff: readonly Price[] | null;
  readonly tariff_days: readonly DayPrices[] | null;
  readonly time_zone: string | undefined;
}

/** What a kWh costs at a moment: by that day's own prices, or else by the week's; null where neither says. */
export function priceAt({ tariff, tariff_days, time_zone }: Tariff, now_ms: number): number | null {
  const day = tariff_days?.find(({ from_ms, to_ms }) => now_ms >= from_ms && now_ms < to_ms);
  if (day) return day.prices[Math.floor((now_ms - day.from_ms) / HOUR_MS)];
  if (!tariff) return null;
  const minute = minuteOfWeek(now_ms, time_zone);
  return tariff.find(({ spans }) => isInside(spans, minute))?.price_per_kwh ?? null;
}

/** The middle one of the prices of the 24 hours from now on; null where none is known. */
export function usualPrice(tariff: Tariff, now_ms: number): number | null {
  const hours = Array.from({ length: 24 }, (_, hour) => priceAt(tariff, now_ms + hour * HOUR_MS));
  const known = hours.filter((price) => price !== null).sort((a, b) => a - b);
  return known[Math.floor((known.length - 1) / 2)] ?? null;
}

/**
 * A table of the week has one price at each of its minutes.
 * Throws OwnerPolicyError `bad-device-settings`, which names the first gap, or the first time with two prices.
 */
export function checkTariff(tariff: readonly Price[]): void {
  const edges = new Set([
    0,
    ...tariff.flatMap(({ spans }) => spans.flatMap(({ from, to }) => [from, to % WEEK_MINUTES])),
  ]);
  for (const minute of [...edges].sort((a, b) => a - b)) {
    const prices = tariff.filter(({ spans }) => isInside(spans, minute));
    if (prices.length === 1) continue;
    const found = prices.length === 0 ? 'no price' : `${prices.length} prices`;
    throw wrong(`expected one price for each hour of the week, got ${found} for ${clockWords(minute)}`);
  }
}

/**
 * Days as they stand in the settings, with the moments at which they begin and end in a zone.
 * Throws OwnerPolicyError `bad-device-settings`: no such day, twice the same, or not one price for each of its hours.
 */
export function readTariffDays(
  days: readonly { readonly day: string; readonly prices: readonly number[] }[],
  time_zone: string | undefined,
): DayPrices[] {
  const seen = new Set<string>();
  return days.map(({ day, prices }) => {
    const bounds = boundsOfDay(day, time_zone);
    if (!bounds) throw wrong(`expected a day such as 2026-11-29, got "${day.slice(0, 20)}"`);
    if (seen.has(day)) throw wrong(`expected each day once, got ${day} twice`);
    seen.add(day);
    const hours = Math.ceil((bounds.to_ms - bounds.from_ms) / HOUR_MS);
    if (prices.length === hours) return { ...bounds, prices };
    const why = hours === 24 ? '' : ', on which the clocks are set for summer time';
    throw wrong(`expected ${hours} prices for ${day}${why}, one for each hour, got ${prices.length}`);
  });
}

/**
 * The one currency that prices and values are in; null where nobody names one.
 * Throws OwnerPolicyError `bad-device-settings` where there are two, or none that exists: nothing here converts them.
 */
export function oneCurrency(stated: string | null, ofPrices: readonly (string | undefined)[]): string | null {
  const named = [...(stated === null ? [] : [stated]), ...ofPrices.flatMap((one) => (one === undefined ? [] : [one]))];
  const unknown = named.find((one) => !Intl.supportedValuesOf('currency').includes(one));
  if (unknown !== undefined) throw wrong(`expected the three letters of a currency, such as EUR, got "${unknown}"`);
  const other = named.find((one) => one !== named[0]);
  if (other !== undefined)
    throw wrong(
      `expected one currency for all prices and values, got ${named[0]} and ${other}: nothing here converts them`,
    );
  return named[0] ?? null;
}

const wrong = (message: string): OwnerPolicyError => new OwnerPolicyError('bad-device-settings', message);
