// Worth it or not: what a device that works only where that pays earns in a month, beside perfect foresight, and its worst day.
import { type Report, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { table } from './report.ts';
import { drawMonth, foresee, live, type MonthResult, TARIFFS, type TariffName } from './worth-month.ts';

export const options = {
  seeds: whole('months of each tariff', { from: 1, to: 100, usual: 5 }),
  days: whole('days of a month; the clocks go forward in a whole one', { from: 2, to: 31, usual: 31 }),
};

export const notes = `In virtual time: a device with the gate "only_if_worth" decides each minute by the real rules, from what a hub would have told it by then.
Prices are flat, by day and night, by the hour with spikes and below zero, or free while the sun shines. The device is away for hours, and
its owner needs it on some evenings. Other workers come and go, so that a round pays more or less. Verdicts come after minutes, some after
hours. A newcomer may do a tenth of a round. Foresight knows all of this beforehand.
Fails if a month earns less than 95% of what foresight would have earned, or if a day ends below zero.`;

const PROMISE = { least_part: 0.95, least_day: 0 } as const;

export interface Row extends MonthResult {
  readonly tariff: TariffName;
  readonly seed: string;
  readonly foreseen: number;
  /** Of what foresight would have earned. */
  readonly part: number;
}

/** One month, lived and foreseen. */
export function monthOf(tariff: TariffName, seed: string, days: number, refused_part = 0): Row {
  const month = drawMonth(tariff, seed, days, refused_part);
  const foreseen = foresee(month);
  const lived = live(month);
  return { tariff, seed, foreseen, part: lived.net / foreseen, ...lived };
}

export async function run({ seeds, days }: Values<typeof options>): Promise<Report> {
  const names = Array.from({ length: seeds }, (_, i) => String(i + 1));
  const rows = TARIFFS.flatMap((tariff) => names.map((seed) => monthOf(tariff, seed, days)));
  const poor = rows.find(({ part, worst_day }) => part < PROMISE.least_part || worst_day < PROMISE.least_day);
  const headings = [
    'tariff',
    'seed',
    'foresight EUR',
    'earned EUR',
    'of it',
    'worst day',
    'receipts EUR',
    'hours',
    'pauses',
  ];
  const cells = rows.map((row) => [
    ...[row.tariff, row.seed, row.foreseen.toFixed(3), row.net.toFixed(3), percent(row.part)],
    ...[row.worst_day.toFixed(4), row.receipts_net.toFixed(3), row.worked_hours.toFixed(0), String(row.pauses)],
  ]);
  const failure =
    poor &&
    new BenchError(
      'bound-broken',
      `${poor.tariff}, seed ${poor.seed}: ${percent(poor.part)} of foresight, worst day ${poor.worst_day.toFixed(4)}`,
    );
  return { data: { rows }, text: table(headings, cells), failure };
}

const percent = (part: number): string => `${(100 * part).toFixed(1)}%`;
