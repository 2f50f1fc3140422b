// The signal `worth` from what a device keeps of its days, what its owner has set and what it takes: the same for a process and for a bench.
import { type DayBook, type OpenDay, recordOf } from './day-book.ts';
import { sumsOf } from './day-receipt.ts';
import type { DeviceSettings } from './settings.ts';
import type { Signal, Worth } from './signals.ts';
import { priceAt, usualPrice } from './tariff.ts';
import { hourOfWork, valueSet, type WorthSeen } from './worth.ts';

/** @param run the run that it works in, or worked in last; null before it has joined one */
export function worthNow(
  book: DayBook,
  day: OpenDay,
  run: string | null,
  settings: DeviceSettings,
  watts: WorthSeen['watts'],
  now_ms: number,
): Signal<Worth> {
  const value = valueSet(settings);
  if (!value) return { absent: 'nobody has said what work is worth' };
  const { working_ms, slower_ms } = day.counts;
  const { earned_micro, cost_micro } = sumsOf(day.counts);
  const open = Object.values(book.runs).flatMap(({ pending }) => pending.filter(({ key }) => key === day.key));
  return hourOfWork({
    ...{ value, watts, record: recordOf(book, run) },
    shares_per_unit: (run === null ? null : book.runs[run]?.shares_per_unit) ?? null,
    price_per_kwh: priceAt(settings, now_ms),
    usual_price_per_kwh: () => usualPrice(settings, now_ms),
    wear_per_hour: settings.wear_per_hour,
    currency: settings.currency,
    today: {
      worked_ms: working_ms + slower_ms,
      net_micro: earned_micro - cost_micro,
      open_units: open.reduce((sum, { units }) => sum + units, 0),
      open_ms: (run === null ? undefined : book.runs[run]?.open_ms) ?? 0,
    },
  });
}
