// Cartels of validators and liars against the real hub and peers on virtual time: liars' pay, honest work refused, what a round takes.
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { playCartel } from '../simulation/cartel-play.ts';
import { CARTEL_ROWS, type CartelRow, NOBODY, NOBODY_OPEN, rosterOf } from '../simulation/cartel-rows.ts';
import type { Played } from '../simulation/cartel-watch.ts';
import { BOUNDS, type Figures, figuresOf, missed } from './cartels-figures.ts';
import { BenchError } from './errors.ts';
import { type Interval, readLines, table, writeJson } from './report.ts';

const HELP = `npm run bench cartels [-- OPTIONS]

  --rounds N           (default 200)
  --seeds N            histories of each row, from seed 1 (default 3)
  --validators LIST    divided by commas (default 10,30)
  --only LIST          rows, divided by commas: ${CARTEL_ROWS.map(({ name }) => name.replaceAll(',', '')).join(', ')}
  --results FILE       keeps each finished history as a line of JSON and skips those it finds there
  --json FILE          the results as JSON; "-" for standard output instead of the table

Each history is a run with the times and rules that \`run create\` gives: seven honest workers and the liars, 30 % of the validators lie, and
where the rules name them they hold 32 % of the stake. Ends with 1 where a bound is missed, on average over the seeds; none holds
where ghosts are most of an open run.`;

interface Options {
  readonly rounds: number;
  readonly seeds: number;
  readonly validators: readonly number[];
  readonly rows: readonly CartelRow[];
  readonly results: string | null;
  readonly json: string | null;
}

/** Plays and prints. Throws BenchError usage. */
export async function run(args: string[]): Promise<void> {
  const options = optionsOf(args);
  if (!options) return console.log(HELP);
  const kept = readLines<{ readonly key: string; readonly played: Played }>(options.results);
  const known = new Map(kept.map(({ key, played }) => [key, played]));
  const play = async (row: CartelRow, validators: number): Promise<Played[]> => {
    const histories: Played[] = [];
    for (let seed = 1; seed <= options.seeds; seed++) {
      const key = [row.name, validators, options.rounds, seed].join('; ');
      let played = known.get(key);
      if (!played) {
        played = await playCartel(rosterOf(row, validators), options.rounds, seed, row.conspire());
        known.set(key, played);
        if (options.results) appendFileSync(options.results, `${JSON.stringify({ key, played })}\n`);
        console.error(`${key}: ${(played.round_ms / 1000).toFixed(1)} s a round`);
      }
      histories.push(played);
    }
    return histories;
  };
  const figures: Figures[] = [];
  for (const validators of options.validators) {
    for (const row of [NOBODY, NOBODY_OPEN, ...options.rows]) {
      const base = row.named ? NOBODY : NOBODY_OPEN;
      const needed = [NOBODY, ...options.rows].some(({ named }) => named === row.named);
      if (needed)
        figures.push(figuresOf(row.name, validators, await play(row, validators), await play(base, validators)));
    }
  }
  if (options.json) writeJson(options.json, { rounds: options.rounds, seeds: options.seeds, bounds: BOUNDS, figures });
  if (options.json !== '-') print(figures);
  const unbounded = CARTEL_ROWS.filter(({ ghosts = 0 }) => ghosts > 0).map(({ name }) => name);
  const bounded = figures.filter(({ row }) => !unbounded.includes(row));
  const bad = bounded.flatMap((of) => missed(of).map((what) => `${of.row}, ${of.validators} validators: ${what}`));
  for (const line of bad) console.error(`bound missed: ${line}`);
  if (bad.length > 0) process.exitCode = 1;
}

function print(figures: readonly Figures[]): void {
  const shown = ({ mean, half }: Interval, digits = 1): string =>
    Number.isNaN(mean) ? '–' : `${mean.toFixed(digits)} ± ${half.toFixed(digits)}`;
  const percent = (of: Interval): string => shown({ mean: of.mean * 100, half: of.half * 100 });
  const headings = [
    '',
    'validators',
    's a round',
    'times',
    'pay for lies, %',
    'honest refused, %',
    'honest pay kept, %',
    'appeals, %',
  ];
  const rows = figures.map((of) => [
    ...[of.row, String(of.validators), shown(of.seconds), shown(of.times, 2), percent(of.pay_for_lies)],
    ...[percent(of.refused), percent(of.kept), percent(of.appealed)],
  ]);
  console.log(table(headings, rows));
}

function optionsOf(args: string[]): Options | null {
  const text = { type: 'string' } as const;
  let values: Record<string, string | boolean | undefined>;
  try {
    const options = { rounds: text, seeds: text, validators: text, only: text, results: text, json: text };
    ({ values } = parseArgs({ args, options: { ...options, help: { type: 'boolean' } } }));
  } catch (error) {
    throw new BenchError('usage', (error as Error).message);
  }
  if (values.help) return null;
  const given = (name: string): string | undefined => values[name] as string | undefined;
  const whole = (name: string, value: string, least: number): number => {
    if (Number.isSafeInteger(Number(value)) && Number(value) >= least) return Number(value);
    throw new BenchError('usage', `--${name}: expected a whole number from ${least}, got ${value}`);
  };
  const plain = (name: string): string => name.replaceAll(',', '');
  const named = (name: string): CartelRow => {
    const found = CARTEL_ROWS.find((row) => plain(row.name) === plain(name).trim());
    if (found) return found;
    throw new BenchError(
      'usage',
      `--only: expected ${CARTEL_ROWS.map((row) => plain(row.name)).join(', ')}; got ${name}`,
    );
  };
  return {
    rounds: whole('rounds', given('rounds') ?? '200', 1),
    seeds: whole('seeds', given('seeds') ?? '3', 1),
    validators: (given('validators') ?? '10,30').split(',').map((count) => whole('validators', count, 4)),
    rows: given('only') === 'none' ? [] : (given('only')?.split(',').map(named) ?? CARTEL_ROWS),
    ...{ results: given('results') ?? null, json: given('json') ?? null },
  };
}
