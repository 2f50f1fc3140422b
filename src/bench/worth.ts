// Worth it or not: what a device that works only where that pays earns in a month, beside perfect foresight, and its worst day.
import { parseArgs } from 'node:util';
import { BenchError } from './errors.ts';
import { table, writeJson } from './report.ts';
import { drawMonth, foresee, live, type MonthResult, TARIFFS, type TariffName } from './worth-month.ts';

const HELP = `npm run bench worth [-- OPTIONS]

  --seeds N    months of each tariff, 1 to 100 (default 5)
  --days N     days of a month, 2 to 31 (default 31, in which the clocks go forward)
  --json FILE  the measurements as JSON; "-" for standard output instead of the table

In virtual time: a device with the gate "only_if_worth" decides each minute by the real rules, of what a hub would have told it by then. Prices are flat, by day
and night, by the hour with spikes and below zero, or free while the sun shines; it is away for hours and its owner needs it on evenings; other workers come
and go, so that a round pays more or less; verdicts come after minutes, some after hours; a newcomer may do a tenth. Foresight knows all of it beforehand.
Ends with an error where a month earns less than 95% of what foresight would have, or a day ends below zero.`;

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

/** Measures and prints. Throws BenchError `usage`, `bound-broken` where a promise is not kept. */
export async function run(args: string[]): Promise<void> {
  const options = optionsOf(args);
  if (options === null) return console.log(HELP);
  const seeds = Array.from({ length: options.seeds }, (_, i) => String(i + 1));
  const rows = TARIFFS.flatMap((tariff) => seeds.map((seed) => monthOf(tariff, seed, options.days)));
  if (options.json !== '-') print(rows);
  if (options.json !== null) writeJson(options.json, { rows });
  const poor = rows.find(({ part, worst_day }) => part < PROMISE.least_part || worst_day < PROMISE.least_day);
  if (!poor) return;
  const { tariff, seed, part, worst_day } = poor;
  throw new BenchError(
    'bound-broken',
    `${tariff}, seed ${seed}: ${(100 * part).toFixed(1)}% of foresight, worst day ${worst_day.toFixed(4)}`,
  );
}

function print(rows: readonly Row[]): void {
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
  console.log(
    table(
      headings,
      rows.map((row) => [
        ...[row.tariff, row.seed, row.foreseen.toFixed(3), row.net.toFixed(3), `${(100 * row.part).toFixed(1)}%`],
        ...[row.worst_day.toFixed(4), row.receipts_net.toFixed(3), row.worked_hours.toFixed(0), String(row.pauses)],
      ]),
    ),
  );
}

function optionsOf(args: string[]) {
  let values: { seeds?: string; days?: string; json?: string; help?: boolean };
  try {
    const string = { type: 'string' } as const;
    ({ values } = parseArgs({
      args,
      options: { seeds: string, days: string, json: string, help: { type: 'boolean', short: 'h' } },
    }));
  } catch (error) {
    throw new BenchError('usage', `worth: ${(error as Error).message.split('\n', 1)[0]}`);
  }
  if (values.help) return null;
  const whole = (name: 'seeds' | 'days', usual: number, least: number, most: number): number => {
    const value = Number(values[name] ?? usual);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new BenchError('usage', `--${name}: expected a whole number from ${least} to ${most}, got "${values[name]}"`);
  };
  return { seeds: whole('seeds', 5, 1, 100), days: whole('days', 31, 2, 31), json: values.json ?? null };
}
