// Cartels of validators and liars against the real hub and peers on virtual time: liars' pay, refused honest work, the length of a round.
import { playCartel } from '../simulation/cartel-play.ts';
import { CARTEL_ROWS, type CartelRow, NOBODY, NOBODY_OPEN, rosterOf } from '../simulation/cartel-rows.ts';
import type { Played } from '../simulation/cartel-watch.ts';
import { list, oneOf, optional, type Report, text, type Values, whole } from './bench.ts';
import { BOUNDS, type Figures, figuresOf, missed } from './cartels-figures.ts';
import { BenchError } from './errors.ts';
import { type Interval, keptResults, table } from './report.ts';

const plain = (name: string): string => name.replaceAll(',', '');
const ROW_NAMES = CARTEL_ROWS.map(({ name }) => plain(name));

export const options = {
  rounds: whole('rounds of each history', { from: 1, to: 100_000, usual: 200 }),
  seeds: whole('histories of each row, from seed 1', { from: 1, to: 100_000, usual: 3 }),
  validators: list(whole('numbers of validators', { from: 4, to: 256, usual: 10 }), '10,30'),
  only: optional(list(oneOf('rows, otherwise all', [...ROW_NAMES, 'none'], 'none'))),
  results: text('keeps each finished history as a line of JSON, and skips the histories that it finds there', 'FILE'),
};

export const notes = `Each history is a run with the times and rules that \`run create\` gives: seven honest workers and the liars. 30 % of the validators lie, and
if the rules name the validators, the liars hold 32 % of the stake. Fails if a bound is missed on average over the seeds. No bound holds
in an open run of which ghosts are the larger part.`;

export async function run({ rounds, seeds, validators, only, results }: Values<typeof options>): Promise<Report> {
  const rows = CARTEL_ROWS.filter(({ name }) => (only ?? ROW_NAMES).includes(plain(name)));
  const kept = keptResults<{ readonly played: Played }>(results);
  const play = async (row: CartelRow, count: number): Promise<Played[]> => {
    const histories: Played[] = [];
    for (let seed = 1; seed <= seeds; seed++) {
      const key = [row.name, count, rounds, seed].join('; ');
      const { played } = await kept(key, async () => {
        const played = await playCartel(rosterOf(row, count), rounds, seed, row.conspire());
        console.error(`${key}: ${(played.round_ms / 1000).toFixed(1)} s a round`);
        return { played };
      });
      histories.push(played);
    }
    return histories;
  };
  const figures: Figures[] = [];
  for (const count of validators) {
    for (const row of [NOBODY, NOBODY_OPEN, ...rows]) {
      const base = row.named ? NOBODY : NOBODY_OPEN;
      const needed = [NOBODY, ...rows].some(({ named }) => named === row.named);
      if (needed) figures.push(figuresOf(row.name, count, await play(row, count), await play(base, count)));
    }
  }
  const unbounded = CARTEL_ROWS.filter(({ ghosts = 0 }) => ghosts > 0).map(({ name }) => name);
  const bounded = figures.filter(({ row }) => !unbounded.includes(row));
  const bad = bounded.flatMap((of) => missed(of).map((what) => `${of.row}, ${of.validators} validators: ${what}`));
  const failure = bad.length > 0 ? new BenchError('bound-broken', `bounds missed: ${bad.join('; ')}`) : null;
  return { data: { rounds, seeds, bounds: BOUNDS, figures }, text: textOf(figures), failure };
}

function textOf(figures: readonly Figures[]): string {
  const shown = ({ mean, half }: Interval, digits = 1): string =>
    Number.isNaN(mean) ? '–' : `${mean.toFixed(digits)} ± ${half.toFixed(digits)}`;
  const percent = (of: Interval): string => shown({ mean: of.mean * 100, half: of.half * 100 });
  const parts = ['pay for lies, %', 'honest refused, %', 'honest pay kept, %', 'appeals, %'];
  const rows = figures.map((of) => [
    ...[of.row, String(of.validators), shown(of.seconds), shown(of.times, 2), percent(of.pay_for_lies)],
    ...[percent(of.refused), percent(of.kept), percent(of.appealed)],
  ]);
  return table(['', 'validators', 's a round', 'times', ...parts], rows);
}
