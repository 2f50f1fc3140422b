// One row of `bench adversaries`: an arena of real training with some liars, and the columns of its result.
import type { AnyGame } from '../games/game.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { Adversary } from '../simulation/adversaries/adversary.ts';
import { adversaryNamed } from '../simulation/adversaries/registry.ts';
import { unseen } from '../simulation/adversaries/task.ts';
import { playArena } from '../simulation/arena.ts';
import type { ArenaResult } from '../simulation/arena-result.ts';
import { ARENA_RULES, type Crowd, crowdOf } from '../simulation/play-job.ts';
import { damageOf, keptOf, refusedOf, reportOn, type StrategyReport, skewOf } from '../simulation/play-report.ts';
import { type GameSetup, setUpPretrain } from '../simulation/play-setup.ts';
import type { RememberingRuntime } from '../simulation/remembering-runtime.ts';
import type { MergeRule } from '../training/sparse.ts';
import { MODELS } from './parity-trial.ts';

const CONTEXT = 64;

export const HONEST = 'nobody lies';
const VETERANS = 'nobody lies, records of 100';
const SOME_NEW = 'nobody lies, a third new, the others with records of 100';
/** Rows without liars, by their names on the command line. */
export const HONEST_ROWS: ReadonlyMap<string, string> = new Map([
  ['veterans', VETERANS],
  ['some-new', SOME_NEW],
]);
export const MIXTURE = 'mixture';
const SLOW = 'slow worker';
export const CHECKS = ['on', 'cheap', 'off'] as const;
/** Two kinds of workers and one validator: a third of six workers and a third of three validators. */
const MIXED = ['few-steps', 'copier-noisy', 'colluders'];

/** The common options of all rows of a table. */
export interface RowOptions {
  readonly model: keyof typeof MODELS;
  readonly rounds: number;
  readonly steps: number;
  readonly crowd: Crowd;
  readonly merge: MergeRule | null;
  readonly checks: (typeof CHECKS)[number];
  readonly rating: number;
  readonly slow: number;
  /** All workers compute as their judges do, so that a step costs the same on both sides. */
  readonly native: boolean;
}

/** What all rows play: the model, and the text as data. */
export function setUpRows({ model, rounds, steps, merge }: RowOptions, text: string): Promise<GameSetup> {
  const settings = {
    ...(merge ? { sparse: { merge_rule: merge } } : {}),
    model: { ...MODELS[model], max_position_embeddings: CONTEXT },
    ...{ batch: 12, context: CONTEXT, inner_steps: steps, learning_rate: 1e-3, min_learning_rate: 1e-4 },
    ...{ warmup_steps: Math.ceil(rounds * steps * 0.05), evaluation_sequences: 480 },
  };
  return setUpPretrain(settings, [text], characters(text), {});
}

/** Plays a row once. The validators and every second worker use the first runtime; all rows may share the runtimes and their caches. */
export async function playRow(
  { rounds, steps, crowd, checks, slow, native, rating }: RowOptions,
  setup: GameSetup,
  name: string,
  seed: string,
  runtimes: readonly [RememberingRuntime, RememberingRuntime],
): Promise<ArenaResult> {
  const devices = crowdOf(crowd, adversariesIn(name), (role, i) =>
    role === 'worker' && !native ? runtimes[i % 2] : runtimes[0],
  );
  return playArena({
    ...setup,
    game: judgedBy(checks, setup.game),
    devices: devices.map((device, i) => {
      if (device.role !== 'worker' || device.adversary !== null) return device;
      const name_and_steps =
        i < slow ? { name: `${SLOW} ${i + 1}`, steps_a_round: Math.max(1, Math.round(steps / 10)) } : {};
      return { ...device, ...name_and_steps, ...(hasRecord(name, i) ? { record: 100 } : {}) };
    }),
    ...{ rounds, seed, rules: { ...ARENA_RULES, rating_permille: rating } },
    plant_every: checks === 'on' ? 3 : 0,
    onRound: (round, loss_micro) =>
      console.error(
        `${name}, ${seed}: round ${round + 1} of ${rounds}, validation loss ${(loss_micro / 1e6).toFixed(3)}`,
      ),
  });
}

const hasRecord = (name: string, worker: number): boolean => name === VETERANS || (name === SOME_NEW && worker % 3 > 0);

/** Judges that check less, to show what else protects pay and the model from liars. */
function judgedBy(checks: RowOptions['checks'], game: AnyGame): AnyGame {
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

/** The columns of a row that was played once. Parts are between 0 and 1; null: there is nothing to measure. */
export interface Measures {
  readonly loss: number;
  readonly damage: number;
  /** Of each kind of liar in each of its roles, in the order of `reports`. */
  readonly pays: readonly number[];
  /** The part of the lying workers that had some work refused; null if no worker lies. */
  readonly caught: number | null;
  readonly refused: number;
  readonly kept: number;
  readonly checking: number;
  readonly planted: number;
  readonly skew: number;
  readonly slow: number | null;
  readonly reports: readonly StrategyReport[];
}

export function measuresOf(name: string, result: ArenaResult, honest: ArenaResult): Measures {
  const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
  const reports = adversariesIn(name).flatMap((adversary) =>
    reportOn(adversary, result, honest).filter(({ role }) =>
      result.devices.some((device) => device.adversary === adversary.name && device.role === role),
    ),
  );
  const work_ms = sum(result.checking.map((round) => round.work_ms));
  return {
    loss: result.measured.at(-1)! / 1e6,
    damage: damageOf(result, honest),
    pays: reports.map(({ pay }) => pay),
    caught: caughtOf(result),
    refused: refusedOf(result),
    kept: keptOf(result),
    checking: sum(result.checking.map(({ check_ms }) => check_ms)) / work_ms,
    planted: sum(result.checking.map(({ planted_ms }) => planted_ms)) / work_ms,
    skew: skewOf(result, honest),
    slow: slowPay(result),
    reports,
  };
}

function caughtOf({ devices }: ArenaResult): number | null {
  const lying = devices.filter(
    ({ role, adversary, submitted }) => role === 'worker' && adversary !== null && submitted > 0,
  );
  const caught = lying.filter(({ submitted, merged }) => merged < submitted);
  return lying.length > 0 ? caught.length / lying.length : null;
}

/** The pay of slow devices for a step, relative to the other honest devices. */
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
    bytesOf: (id) => new TextEncoder().encode(all[id]),
  };
}
