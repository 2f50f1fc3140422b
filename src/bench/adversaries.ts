// Real training with devices that lie in every known way: loss, liars' pay, refused honest work, the cost of checking.
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { adversariesOf } from '../simulation/adversaries/registry.ts';
import type { ArenaResult } from '../simulation/arena-result.ts';
import { type RememberingRuntime, rememberingRuntime } from '../simulation/remembering-runtime.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { MERGE_RULES } from '../training/sparse.ts';
import {
  CHECKS,
  HONEST,
  HONEST_ROWS,
  type Measures,
  MIXTURE,
  measuresOf,
  playRow,
  type RowOptions,
  setUpRows,
} from './adversaries-row.ts';
import { flag, list, oneOf, optional, type Report, text, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { readText } from './parity-data.ts';
import { MODEL_NAMES } from './parity-trial.ts';
import { interval95, keptResults, table } from './report.ts';

const NAMES = [...HONEST_ROWS.keys(), ...adversariesOf('pretrain').map(({ name }) => name), MIXTURE];

export const options = {
  data: text('Tiny Shakespeare (input.txt of char-rnn)', 'FILE'),
  model: oneOf('small is config (a) of bench compute', MODEL_NAMES, 'pilot'),
  rounds: whole('rounds of each run', { from: 1, to: 100_000, usual: 20 }),
  steps: whole('inner steps of a worker in a round', { from: 1, to: 100_000, usual: 30 }),
  workers: whole('workers, liars included; every second one computes with WASM, unless --native is given', {
    ...{ from: 2, to: 10_000, usual: 6 },
  }),
  validators: whole('validators, liars included; all compute natively', { from: 2, to: 256, usual: 3 }),
  lying: whole('thousandths of the workers that lie', { from: 1, to: 999, usual: 333 }),
  lying_stake: optional(
    whole("thousandths of the validators' stake that lie; otherwise all have the same stake, and --lying of them lie", {
      ...{ from: 1, to: 999, usual: 0 },
    }),
  ),
  open: flag('anybody who joins may validate; otherwise the rules name the validators and their stakes'),
  only: optional(list(oneOf('who lies, otherwise everybody in turn (mixture: several at once)', NAMES, MIXTURE))),
  merge: optional(oneOf('how updates are merged; otherwise by the rule of the game', MERGE_RULES, 'mean')),
  checks: oneOf('cheap: nothing is trained again; off: judges accept everything', CHECKS, 'on'),
  rating: whole("thousandths of a verdict's weight that follow its judge's rating of the worker", {
    ...{ from: 0, to: 1000, usual: 0 },
  }),
  native: flag('all workers compute as their judges do, so that a step costs the same on both sides'),
  slow: whole('honest workers that do a tenth of the steps', { from: 0, to: 10_000, usual: 0 }),
  seed: text('where the randomness of the runs comes from', 'TEXT'),
  seeds: whole('plays each row N times, each with a seed of its own; shows means with their 95 % intervals', {
    ...{ from: 1, to: 10_000, usual: 1 },
  }),
  results: text('keeps each finished run as a line of JSON, and skips the runs that it finds there', 'FILE'),
};

export const notes = `Each row is a run of its own in which some of the workers, or of the validators' stake, or of both, lie in one way. The honest devices have
the same tasks in every run of a seed. In the row "veterans" nobody lies and all workers have records of 100; in "some-new" two of three do.
Everything is real: training, checks, merges, consensus, pay after forfeits. If a device has computed something before, its result is
recalled and counts the time that it took then.

  validation loss    of the model at the end
  against honest     its distance from the run of the same seed in which nobody lies
  liars' pay         shares of a lying device at the end, under all its keys, of an honest one's in the same run; of workers, then of validators
                     by their stake
  liars caught       the part of the lying workers that had some work refused; --rounds says by when
  honest refused     the part of the honest workers' submissions that was not merged
  honest kept        the part of honest workers' pay that they did not lose again
  checking / work    processor time of the honest judges' checks, divided by that of the work that they checked
  of plants          the same for their checks of work that the run's owner plants, in one round of three; not part of the column before`;

type Given = Values<typeof options>;

export async function run(given: Given): Promise<Report> {
  if (given.open && given.lying_stake !== null) {
    throw new BenchError('usage', '--lying-stake: in an open run all validators have the same stake');
  }
  if (!given.data) throw new BenchError('usage', '--data FILE is needed: Tiny Shakespeare (input.txt of char-rnn)');
  const names = [HONEST, ...(given.only ?? NAMES).map((name) => HONEST_ROWS.get(name) ?? name)];
  const played = await playRows(given, readText(given.data), names);
  const rows = names.map((name, i) => {
    const measures = played.map((ofSeed) => measuresOf(name, ofSeed[i], ofSeed[0]));
    const roles = [...new Set(measures[0].reports.map(({ role }) => `${role}s`))].join(', ');
    return { name, roles, measures };
  });
  const slow = given.slow > 0;
  const loss = (value: number): string => value.toFixed(4);
  const headings = [
    ...['who lies', 'validation loss', 'against honest', "liars' pay", 'liars caught', 'honest refused'],
    ...['honest kept', 'checking / work', 'of plants', ...(slow ? ["slow devices' pay for a step"] : [])],
  ];
  const cells = rows.map(({ name, roles, measures }) => [
    ...[`${name}${roles ? ` (${roles})` : ''}`, shown(measures, (own) => own.loss, loss)],
    shown(measures, ({ damage }) => damage),
    measures[0].pays.map((_, i) => shown(measures, ({ pays }) => pays[i])).join(', ') || '–',
    ...[shown(measures, ({ caught }) => caught), shown(measures, ({ refused }) => refused)],
    ...[shown(measures, ({ kept }) => kept), shown(measures, ({ checking }) => checking)],
    ...[shown(measures, ({ planted }) => planted), ...(slow ? [shown(measures, (own) => own.slow)] : [])],
  ]);
  return { data: { options: given, rows }, text: table(headings, cells) };
}

/** What every row has in common. */
function rowOptions(given: Given): RowOptions {
  const { model, rounds, steps, merge, checks, rating, slow, native, workers, validators, open } = given;
  const lying_stake = given.lying_stake ?? undefined;
  const crowd = { workers, validators, share: given.lying / 1000, lying_stake, open };
  return { merge, checks, rating, slow, native, crowd, model, rounds, steps };
}

/** The mean of a column over all seeds, and its interval where there are several. */
function shown(
  measures: readonly Measures[],
  column: (own: Measures) => number | null,
  format = (value: number): string => `${(100 * value).toFixed(1)} %`,
): string {
  const values = measures.map(column).filter((value) => value !== null);
  if (values.length === 0) return '–';
  const { mean, half } = interval95(values);
  return values.length === 1 ? format(mean) : `${format(mean)} ± ${format(half)}`;
}

/** By seed, then by row: the rows of a seed follow each other, because they share most of their computations. */
async function playRows(given: Given, text: string, names: readonly string[]): Promise<ArenaResult[][]> {
  const options = rowOptions(given);
  const kept = keptResults<{ readonly name: string; readonly seed: string; readonly result: ArenaResult }>(
    given.results,
  );
  const setup = await setUpRows(options, text);
  const first = given.seed ?? 'bench';
  const open: RememberingRuntime[] = [];
  const results: ArenaResult[][] = [];
  try {
    for (const create of [createNativeRuntime, createWasmRuntime]) {
      open.push(rememberingRuntime(await create({ threads: 1 })));
    }
    const [native, wasm] = open;
    for (let n = 1; n <= given.seeds; n++) {
      const seed = n === 1 ? first : `${first}/${n}`;
      const ofSeed: ArenaResult[] = [];
      for (const name of names) {
        const key = sha256Hex(utf8(JSON.stringify([options, name, seed, text])));
        const play = async () => ({ name, seed, result: await playRow(options, setup, name, seed, [native, wasm]) });
        ofSeed.push((await kept(key, play)).result);
      }
      results.push(ofSeed);
    }
  } finally {
    for (const runtime of open) await runtime.close();
  }
  return results;
}
