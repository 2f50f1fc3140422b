// A third of the devices lie, in every way we know: loss, liars' pay, honest work refused, what checking costs. Real training.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { AnyGame } from '../games/game.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { Adversary } from '../simulation/adversaries/adversary.ts';
import { adversariesOf, adversaryNamed } from '../simulation/adversaries/registry.ts';
import { unseen } from '../simulation/adversaries/task.ts';
import { playArena } from '../simulation/arena.ts';
import type { ArenaResult } from '../simulation/arena-result.ts';
import { ARENA_RULES, crowdOf } from '../simulation/play-job.ts';
import { damageOf, reportOn, skewOf } from '../simulation/play-report.ts';
import { setUpPretrain } from '../simulation/play-setup.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { MERGE_RULES } from '../training/sparse.ts';
import { BenchError } from './errors.ts';
import { table, writeJson } from './report.ts';

const HELP = `npm run bench adversaries [-- OPTIONS]

  --data FILE      Tiny Shakespeare (input.txt of char-rnn)
  --model NAME     pilot (default), small (4 layers, width 128: config (a) of bench compute), tiny
  --rounds N       (default 20)
  --steps N        inner steps of a worker in a round (default 30)
  --workers N      liars included (default 6); every second one computes with WASM, unless --native is given
  --only LIST      adversaries, divided by commas; "mixture" is several at once (default: all of them)
  --merge RULE     ${MERGE_RULES.join(', ')} (default: the game's own)
  --checks WORD    on (default); cheap: nothing is trained again; off: judges accept everything, and only the merge is left
  --rating N       thousandths of a verdict's weight that follow its judge's rating of the worker (default 0)
  --native         all workers compute as their judges do, so that a step costs the same on both sides
  --slow N         so many of the honest workers do a tenth of the steps (default 0)
  --seed TEXT      (default bench)
  --results FILE   keeps each finished run as a line of JSON and skips those it finds there
  --json FILE      the results as JSON; "-" for standard output instead of the table

Each row is a run of its own in which a third of the workers, or of the validators' stake, or of both, lies in one way. The honest
devices do the same steps in every run. Everything is real: training, checks, merges, consensus, pay after forfeits.`;

const MODELS = {
  small: { num_hidden_layers: 4, num_attention_heads: 4, hidden_size: 128, intermediate_size: 352 },
  pilot: { num_hidden_layers: 2, num_attention_heads: 4, hidden_size: 64, intermediate_size: 176 },
  tiny: { num_hidden_layers: 1, num_attention_heads: 2, hidden_size: 16, intermediate_size: 32 },
} as const;
const CONTEXT = 64;
const HONEST = 'nobody lies';
const VETERANS = 'nobody lies, records of 100';
const SOME_NEW = 'nobody lies, a third new, the others with records of 100';
const MIXTURE = 'mixture';
const SLOW = 'slow worker';
const CHECKS = ['on', 'cheap', 'off'] as const;
/** Two kinds of workers and one validator: what fits into a third of six and a third of three. */
const MIXED = ['few-steps', 'copier-noisy', 'colluders'];

interface Options {
  readonly data: string;
  readonly model: keyof typeof MODELS;
  readonly rounds: number;
  readonly steps: number;
  readonly workers: number;
  readonly rows: readonly string[];
  readonly merge: string | null;
  readonly checks: (typeof CHECKS)[number];
  readonly rating: number;
  readonly slow: number;
  readonly native: boolean;
  readonly seed: string;
  readonly results: string | null;
  readonly json: string | null;
}

/** Measures and prints. Throws BenchError usage. */
export async function run(args: string[]): Promise<void> {
  const options = optionsOf(args);
  if (!options) return console.log(HELP);
  const text = readText(options.data);
  const known = readResults(options.results);
  const measured: { readonly name: string; readonly result: ArenaResult }[] = [];
  for (const name of [HONEST, ...(options.checks === 'on' ? [VETERANS, SOME_NEW] : []), ...options.rows]) {
    const key = keyOf(options, name, text);
    let result = known.get(key);
    if (!result) {
      result = await playRow(options, name, text);
      if (options.results) appendFileSync(options.results, `${JSON.stringify({ key, name, result })}\n`);
    }
    measured.push({ name, result });
  }
  const honest = measured[0].result;
  const rows = measured.map(({ name, result }) => rowOf(name, result, honest));
  if (options.json) writeJson(options.json, { options, rows });
  if (options.json === '-') return;
  const percent = (value: number | null): string => (value === null ? '–' : `${(100 * value).toFixed(1)} %`);
  console.log(
    table(
      [
        'a third of',
        'validation loss',
        'against honest',
        "liars' pay",
        'honest refused',
        'checking / work',
        "honest pay's change",
        ...(options.slow > 0 ? ["slow devices' pay for a step"] : []),
      ],
      rows.map((row) => [
        `${row.name}${row.roles ? ` (${row.roles})` : ''}`,
        row.loss.toFixed(4),
        percent(row.damage),
        row.pays.map(percent).join(', ') || '–',
        percent(row.refused),
        percent(row.checking),
        percent(row.skew),
        ...(options.slow > 0 ? [percent(row.slow)] : []),
      ]),
    ),
  );
}

async function playRow(options: Options, name: string, text: string): Promise<ArenaResult> {
  const { model, rounds, steps, workers, merge, checks, slow, native, seed } = options;
  const settings = {
    ...(merge ? { sparse: { merge_rule: merge } } : {}),
    model: { ...MODELS[model], max_position_embeddings: CONTEXT },
    ...{ batch: 12, context: CONTEXT, inner_steps: steps, learning_rate: 1e-3, min_learning_rate: 1e-4 },
    ...{ warmup_steps: Math.ceil(rounds * steps * 0.05), evaluation_sequences: 480 },
  };
  const runtimes = [await createNativeRuntime({ threads: 1 }), await createWasmRuntime({ threads: 1 })];
  try {
    const setup = await setUpPretrain(settings, [text], characters(text), {});
    const devices = crowdOf({ workers, validators: 3, share: 1 / 3 }, adversariesIn(name), (role, i) =>
      role === 'worker' && !native ? runtimes[i % 2] : runtimes[0],
    );
    return await playArena({
      ...setup,
      game: judgedBy(checks, setup.game),
      devices: devices.map((device, i) => {
        if (device.role !== 'worker' || device.adversary !== null) return device;
        const name_and_steps =
          i < slow ? { name: `${SLOW} ${i + 1}`, steps_a_round: Math.max(1, Math.round(steps / 10)) } : {};
        return { ...device, ...name_and_steps, ...(hasRecord(name, i) ? { record: 100 } : {}) };
      }),
      first_steps: FIRST_STEPS,
      ...{ rounds, seed, rules: { ...ARENA_RULES, rating_permille: options.rating } },
      plant_every: checks === 'on' ? 3 : 0,
      onRound: (round, loss_micro) =>
        console.error(`${name}: round ${round + 1} of ${rounds}, validation loss ${(loss_micro / 1e6).toFixed(3)}`),
    });
  } finally {
    for (const runtime of runtimes) await runtime.close();
  }
}

/** As many as a device does that takes about a second for a step: its first work ends a second after its first step. */
const FIRST_STEPS = 2;

const hasRecord = (name: string, worker: number): boolean => name === VETERANS || (name === SOME_NEW && worker % 3 > 0);

/** Judges who look less, so that one sees what else stands between liars and their pay, or the model. */
function judgedBy(checks: Options['checks'], game: AnyGame): AnyGame {
  if (checks === 'on') return game;
  if (checks === 'off') return { ...game, check: async (_task, claim) => unseen(claim, true) };
  return {
    ...game,
    check: (task, claim, device, judging) => game.check(task, claim, device, { ...judging, repeat_permille: 0 }),
  };
}

function adversariesIn(name: string): Adversary[] {
  if ([HONEST, VETERANS, SOME_NEW].includes(name)) return [];
  return name === MIXTURE ? MIXED.map(adversaryNamed) : [adversaryNamed(name)];
}

function rowOf(name: string, result: ArenaResult, honest: ArenaResult) {
  const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
  const playing = adversariesIn(name).filter(({ name: own }) =>
    result.devices.some(({ adversary }) => adversary === own),
  );
  const reports = playing.flatMap((adversary) =>
    reportOn(adversary, result, honest).filter(({ role }) =>
      result.devices.some((device) => device.adversary === adversary.name && device.role === role),
    ),
  );
  return {
    name,
    roles: [...new Set(reports.map(({ role }) => `${role}s`))].join(', '),
    loss: result.losses_micro.at(-1)! / 1e6,
    damage: damageOf(result, honest),
    pays: reports.map(({ pay }) => pay),
    refused: result.honest.judged > 0 ? result.honest.refused / result.honest.judged : null,
    checking: sum(result.checking.map(({ check_ms }) => check_ms)) / sum(result.checking.map(({ work_ms }) => work_ms)),
    skew: skewOf(result, honest),
    slow: slowPay(result),
    reports,
  };
}

/** What slow devices earn for a step, where the other honest ones earn 1. */
function slowPay({ devices }: ArenaResult): number | null {
  const honest = devices.filter(({ role, adversary }) => role === 'worker' && adversary === null);
  const aStep = (slow: boolean): number => {
    const some = honest.filter(({ name }) => name.startsWith(SLOW) === slow);
    const [shares, units] = [some.map((one) => one.shares), some.map((one) => one.units)].map((values) =>
      values.reduce((all, value) => all + value, 0),
    );
    return shares / units;
  };
  const part = aStep(true) / aStep(false);
  return Number.isFinite(part) ? part : null;
}

/** Characters as tokens, numbered in the order of their code points. */
function characters(text: string): Tokenizer {
  const all = [...new Set(text)].sort();
  const numbers = new Map(all.map((character, i) => [character, i]));
  return {
    ...{ vocab_size: all.length, bos_id: null, eos_id: null, json: JSON.stringify(all) },
    encode: (piece) => Uint32Array.from(piece, (character) => numbers.get(character)!),
    decode: (ids) => Array.from(ids, (id) => all[id]).join(''),
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new BenchError('usage', `--data: cannot read "${path}"; give Tiny Shakespeare (input.txt of char-rnn)`);
  }
}

function readResults(path: string | null): Map<string, ArenaResult> {
  if (path === null || !existsSync(path)) return new Map();
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return new Map(lines.map((line) => JSON.parse(line)).map(({ key, result }) => [key, result]));
}

/** What a kept result must agree in. */
function keyOf(
  { rows: _, data: __, results: ___, json: ____, ...options }: Options,
  name: string,
  text: string,
): string {
  return sha256Hex(new TextEncoder().encode(JSON.stringify([options, name, text])));
}

const isOneOf = <T extends string>(all: readonly T[], word: string): word is T => all.some((one) => one === word);

function optionsOf(args: string[]): Options | null {
  const kinds = { type: 'string' } as const;
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        ...{ data: kinds, model: kinds, rounds: kinds, steps: kinds, workers: kinds, only: kinds, seed: kinds },
        ...{ merge: kinds, checks: kinds, rating: kinds, slow: kinds },
        ...{ results: kinds, json: kinds, native: { type: 'boolean' }, help: { type: 'boolean' } },
      },
    }));
  } catch (error) {
    throw new BenchError('usage', (error as Error).message);
  }
  if (values.help) return null;
  const given = (name: string): string | undefined => values[name] as string | undefined;
  const whole = (name: string, usual: number, least: number): number => {
    const value = Number(given(name) ?? usual);
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw new BenchError('usage', `--${name}: expected a whole number from ${least}, got ${given(name)}`);
  };
  const model = (given('model') ?? 'pilot') as Options['model'];
  if (!(model in MODELS)) throw new BenchError('usage', `--model: expected ${Object.keys(MODELS).join(', ')}`);
  const rows = given('only')?.split(',') ?? [...adversariesOf('pretrain').map(({ name }) => name), MIXTURE];
  for (const name of rows) if (name !== MIXTURE) adversaryNamed(name);
  const merge = given('merge') ?? null;
  if (merge !== null && !isOneOf(MERGE_RULES, merge)) {
    throw new BenchError('usage', `--merge: expected ${MERGE_RULES.join(', ')}, got ${merge}`);
  }
  const checks = given('checks') ?? 'on';
  if (!isOneOf(CHECKS, checks)) throw new BenchError('usage', `--checks: expected ${CHECKS.join(', ')}, got ${checks}`);
  if (!given('data')) throw new BenchError('usage', '--data FILE is needed: Tiny Shakespeare (input.txt of char-rnn)');
  return {
    ...{ merge, checks, rating: whole('rating', 0, 0), slow: whole('slow', 0, 0), native: values.native === true },
    ...{ data: given('data')!, model, rows, seed: given('seed') ?? 'bench' },
    ...{ rounds: whole('rounds', 20, 1), steps: whole('steps', 30, 1), workers: whole('workers', 6, 2) },
    ...{ results: given('results') ?? null, json: given('json') ?? null },
  };
}
