// Some of the devices lie, in every way we know: loss, liars' pay, honest work refused, what checking costs. Real training.
import { appendFileSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { adversariesOf, adversaryNamed } from '../simulation/adversaries/registry.ts';
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
  MODELS,
  measuresOf,
  playRow,
  type RowOptions,
  setUpRows,
} from './adversaries-row.ts';
import { BenchError } from './errors.ts';
import { interval95, readLines, table, writeJson } from './report.ts';

const HELP = `npm run bench adversaries [-- OPTIONS]

  --data FILE        Tiny Shakespeare (input.txt of char-rnn)
  --model NAME       pilot (default), small (4 layers, width 128: config (a) of bench compute), tiny
  --rounds N         (default 20)
  --steps N          inner steps of a worker in a round (default 30)
  --workers N        liars included (default 6); every second one computes with WASM, unless --native is given
  --validators N     liars included (default 3); all compute natively
  --lying N          thousandths of the workers that lie (default 333)
  --lying-stake N    thousandths of the validators' stake that lie (default: all validators have the same, --lying of them lie)
  --open             whoever joins may validate (default: the rules name the validators and their stakes)
  --only LIST        adversaries, divided by commas; "mixture" is several at once, in "veterans" and "some-new" nobody lies and all workers,
                     or two of three, have records of 100 (default: all of them)
  --merge RULE       ${MERGE_RULES.join(', ')} (default: the game's own)
  --checks WORD      on (default); cheap: nothing is trained again; off: judges accept everything, and only the merge is left
  --rating N         thousandths of a verdict's weight that follow its judge's rating of the worker (default 0)
  --native           all workers compute as their judges do, so that a step costs the same on both sides
  --slow N           so many of the honest workers do a tenth of the steps (default 0)
  --seed TEXT        (default bench)
  --seeds N          plays each row N times, each with a seed of its own, and prints means with their 95 % intervals (default 1)
  --results FILE     keeps each finished run as a line of JSON and skips those it finds there
  --json FILE        the results as JSON; "-" for standard output instead of the table

Each row is a run of its own in which some of the workers, or of the validators' stake, or of both, lie in one way. The honest
devices have the same tasks in every run of a seed. Everything is real: training, checks, merges, consensus, pay after forfeits. What a
device computes that another has computed before is recalled, and booked at what it took then.

  validation loss    of the model at the end
  against honest     its distance from the run of the same seed in which nobody lies
  liars' pay         shares of a lying device at the end, under all its keys, of an honest one's in the same run; of workers, then of validators
                     by their stake
  liars caught       the part of the lying workers of whose work something was refused; --rounds says by when
  honest refused     the part of what honest workers handed in that was not merged
  honest kept        the part of what honest workers were paid that was not taken from them again
  checking / work    processor time of the honest judges' checks, of that of the work that they checked
  of plants          the same of their checks of what the run's owner plants, in one round of three; no part of the column before`;

interface Options extends RowOptions {
  readonly data: string;
  readonly rows: readonly string[];
  readonly seeds: readonly string[];
  readonly results: string | null;
  readonly json: string | null;
}

/** Measures and prints. Throws BenchError usage. */
export async function run(args: string[]): Promise<void> {
  const options = optionsOf(args);
  if (!options) return console.log(HELP);
  const names = [HONEST, ...options.rows];
  const played = await playRows(options, names);
  const rows = names.map((name, i) => {
    const measures = played.map((ofSeed) => measuresOf(name, ofSeed[i], ofSeed[0]));
    const roles = [...new Set(measures[0].reports.map(({ role }) => `${role}s`))].join(', ');
    return { name, roles, measures };
  });
  if (options.json) writeJson(options.json, { options, rows });
  if (options.json === '-') return;
  const slow = options.slow > 0;
  console.log(
    table(
      [
        ...[
          'who lies',
          'validation loss',
          'against honest',
          "liars' pay",
          'liars caught',
          'honest refused',
          'honest kept',
        ],
        ...['checking / work', 'of plants', ...(slow ? ["slow devices' pay for a step"] : [])],
      ],
      rows.map(({ name, roles, measures }) => [
        `${name}${roles ? ` (${roles})` : ''}`,
        shown(
          measures,
          ({ loss }) => loss,
          (value) => value.toFixed(4),
        ),
        shown(measures, ({ damage }) => damage),
        measures[0].pays.map((_, i) => shown(measures, ({ pays }) => pays[i])).join(', ') || '–',
        shown(measures, ({ caught }) => caught),
        shown(measures, ({ refused }) => refused),
        shown(measures, ({ kept }) => kept),
        shown(measures, ({ checking }) => checking),
        shown(measures, ({ planted }) => planted),
        ...(slow ? [shown(measures, (own) => own.slow)] : []),
      ]),
    ),
  );
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

/** By seed, then by row: a seed's rows one after another, since they have most of what they compute in common. */
async function playRows(options: Options, names: readonly string[]): Promise<ArenaResult[][]> {
  const text = readText(options.data);
  const kept = readLines<{ readonly key: string; readonly result: ArenaResult }>(options.results);
  const known = new Map(kept.map(({ key, result }) => [key, result]));
  const setup = await setUpRows(options, text);
  const open: RememberingRuntime[] = [];
  const results: ArenaResult[][] = [];
  try {
    for (const create of [createNativeRuntime, createWasmRuntime]) {
      open.push(rememberingRuntime(await create({ threads: 1 })));
    }
    const [native, wasm] = open;
    for (const seed of options.seeds) {
      const ofSeed: ArenaResult[] = [];
      for (const name of names) {
        const key = keyOf(options, name, text, seed);
        let result = known.get(key);
        if (!result) {
          result = await playRow(options, setup, name, seed, [native, wasm]);
          if (options.results) appendFileSync(options.results, `${JSON.stringify({ key, name, seed, result })}\n`);
        }
        ofSeed.push(result);
      }
      results.push(ofSeed);
    }
  } finally {
    for (const runtime of open) await runtime.close();
  }
  return results;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new BenchError('usage', `--data: cannot read "${path}"; give Tiny Shakespeare (input.txt of char-rnn)`);
  }
}

/** What a kept result must agree in. */
function keyOf(
  { rows: _, seeds: __, data: ___, results: ____, json: _____, ...options }: Options,
  name: string,
  text: string,
  seed: string,
): string {
  return sha256Hex(utf8(JSON.stringify([options, name, seed, text])));
}

const isOneOf = <T extends string>(all: readonly T[], word: string): word is T => all.some((one) => one === word);

function optionsOf(args: string[]): Options | null {
  const kinds = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        ...{ data: kinds, model: kinds, rounds: kinds, steps: kinds, workers: kinds, validators: kinds, lying: kinds },
        ...{ 'lying-stake': kinds, open: flag, only: kinds, seed: kinds, seeds: kinds },
        ...{
          merge: kinds,
          checks: kinds,
          rating: kinds,
          slow: kinds,
          results: kinds,
          json: kinds,
          native: flag,
          help: flag,
        },
      },
    }));
  } catch (error) {
    throw new BenchError('usage', (error as Error).message);
  }
  if (values.help) return null;
  const given = (name: string): string | undefined => values[name] as string | undefined;
  const whole = (name: string, usual: number, least: number, most = Number.MAX_SAFE_INTEGER): number => {
    const value = Number(given(name) ?? usual);
    if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
    throw new BenchError('usage', `--${name}: expected a whole number ${range}, got ${given(name)}`);
  };
  const model = (given('model') ?? 'pilot') as Options['model'];
  if (!(model in MODELS)) throw new BenchError('usage', `--model: expected ${Object.keys(MODELS).join(', ')}`);
  const all = [...HONEST_ROWS.keys(), ...adversariesOf('pretrain').map(({ name }) => name), MIXTURE];
  const words = given('only')?.split(',') ?? all;
  for (const word of words) if (word !== MIXTURE && !HONEST_ROWS.has(word)) adversaryNamed(word);
  const rows = words.map((word) => HONEST_ROWS.get(word) ?? word);
  const merge = given('merge') ?? null;
  if (merge !== null && !isOneOf(MERGE_RULES, merge)) {
    throw new BenchError('usage', `--merge: expected ${MERGE_RULES.join(', ')}, got ${merge}`);
  }
  const checks = given('checks') ?? 'on';
  if (!isOneOf(CHECKS, checks)) throw new BenchError('usage', `--checks: expected ${CHECKS.join(', ')}, got ${checks}`);
  const lying_stake = given('lying-stake') === undefined ? undefined : whole('lying-stake', 0, 1, 999);
  if (values.open && lying_stake !== undefined) {
    throw new BenchError('usage', '--lying-stake: in an open run all validators have the same stake');
  }
  if (!given('data')) throw new BenchError('usage', '--data FILE is needed: Tiny Shakespeare (input.txt of char-rnn)');
  const crowd = {
    ...{ workers: whole('workers', 6, 2), validators: whole('validators', 3, 2, 256) },
    ...{ share: whole('lying', 333, 1, 999) / 1000, lying_stake, open: values.open === true },
  };
  const seed = given('seed') ?? 'bench';
  return {
    ...{
      merge,
      checks,
      rating: whole('rating', 0, 0, 1000),
      slow: whole('slow', 0, 0),
      native: values.native === true,
      crowd,
    },
    ...{ data: given('data')!, model, rows },
    seeds: Array.from({ length: whole('seeds', 1, 1) }, (_, i) => (i === 0 ? seed : `${seed}/${i + 1}`)),
    ...{ rounds: whole('rounds', 20, 1), steps: whole('steps', 30, 1) },
    ...{ results: given('results') ?? null, json: given('json') ?? null },
  };
}
