// Worth it or not: what a device that works only where that pays earns in a month, beside perfect foresight, and its worst day.
import { decimal, type Report, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { table } from './report.ts';
import { drawMonth, foresee, live, type MonthResult, TARIFFS, type TariffName } from './worth-month.ts';

export const options = {
  seeds: whole('months of each tariff', { from: 1, to: 100, usual: 5, quick: 1 }),
  days: whole('days of a month, in which the clocks go forward', { from: 2, to: 31, usual: 31, quick: 2 }),
  refused_percent: decimal('rounds of honest work that are refused all the same', { from: 0, to: 50, usual: 0 }),
};

export const notes = `In virtual time: a device with the gate "only_if_worth" decides each minute by the real rules, of what a hub would have told it by then. Prices
are flat, by day and night, by the hour with spikes and below zero, or nothing while the sun shines; it is away for hours and its owner needs it on evenings; other
workers come and go, so that a round pays more or less; verdicts come after minutes, some after hours; a newcomer may do a tenth. Foresight knows all of it
beforehand. The bench fails where a month earns less than 95% of what foresight would have, or a day ends below zero.`;

const PROMISE = { least_part: 0.95, least_day: 0 } as const;

interface Row extends MonthResult {
  readonly tariff: TariffName;
  readonly seed: string;
  readonly foreseen: number;
  /** Of what foresight would have earned. */
  readonly part: number;
}

/** One month, lived and foreseen. */
function monthOf(tariff: TariffName, seed: string, { days, refused_percent }: Values<typeof options>): Row {
  const month = drawMonth(tariff, seed, days, refused_percent / 100);
  const foreseen = foresee(month);
  const lived = live(month);
  return { tariff, seed, foreseen, part: lived.net / foreseen, ...lived };
}

export async function run(given: Values<typeof options>): Promise<Report> {
  const seeds = Array.from({ length: given.seeds }, (_, i) => String(i + 1));
  const rows = TARIFFS.flatMap((tariff) => seeds.map((seed) => monthOf(tariff, seed, given)));
  const headings = [
    'tariff',
    'seed',
    'foresight',
    'earned, EUR',
    'of it',
    'worst day',
    'by receipts',
    'hours',
    'pauses',
  ];
  const lines = rows.map((row) => [
    ...[row.tariff, row.seed, row.foreseen.toFixed(3), row.net.toFixed(3), `${(100 * row.part).toFixed(1)}%`],
    ...[row.worst_day.toFixed(6), row.receipts_net.toFixed(3), row.worked_hours.toFixed(0), String(row.pauses)],
  ]);
  const poor = rows.find(({ part, worst_day }) => part < PROMISE.least_part || worst_day < PROMISE.least_day);
  const why =
    poor &&
    `${poor.tariff}, seed ${poor.seed}: ${(100 * poor.part).toFixed(1)}% of foresight, worst day ${poor.worst_day}`;
  return { data: { rows }, text: table(headings, lines), failure: why ? new BenchError('bound-broken', why) : null };
}
