// A third of the devices of a model in stages lie: loss against an honest run of as many verified tokens, liars' pay, refused honest work, the cost of
// judging. The arena of `play pipeline`, with the core's rules.
import { PIPELINE_LIARS } from '../simulation/adversaries/pipeline-liars.ts';
import { adversaryNamed } from '../simulation/adversaries/registry.ts';
import { playArena } from '../simulation/arena.ts';
import type { ArenaResult } from '../simulation/arena-result.ts';
import { ARENA_RULES, crowdOf } from '../simulation/play-job.ts';
import { refusedOf } from '../simulation/play-report.ts';
import { type GameSetup, setUpPipeline } from '../simulation/play-setup.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { type ReusingRuntime, reusingRuntime } from '../tensor/testing/reusing-runtime.ts';
import { characterTokenizer } from './characters.ts';
import { MODELS } from './parity-trial.ts';
import { table } from './report.ts';

export interface LiarsOptions {
  readonly text: string;
  readonly model: keyof typeof MODELS;
  readonly stages: number;
  /** Honest devices of each stage; half as many lie. */
  readonly replicas: number;
  readonly rounds: number;
  readonly names: readonly string[];
}

const HONEST = 'nobody';
const MIXED = 'mixed';
export const LIARS = [...PIPELINE_LIARS.map(({ name }) => name), MIXED];

/** One row; parts are from 0 to 1. */
export interface LiarsRow {
  readonly who: string;
  readonly loss: number;
  /** Tokens of merged work, each stage's by its part of the cost. */
  readonly verified: number;
  /** How far the loss is above the honest run's at as many verified tokens, and after as many rounds. */
  readonly above: number;
  readonly above_at_end: number;
  /** What liars have of all that workers are paid. */
  readonly pay: number;
  /** The part of honest workers' submissions that was not merged. */
  readonly refused: number;
  /** Processor time of judging beside that of the work, in all rounds and in the last half. */
  readonly judging: number;
  readonly judging_late: number;
  /** What judges said of liars' work. */
  readonly fates: Readonly<Record<string, number>>;
}

const SETTINGS = { batch: 4, context: 32, micro_batches: 4, inner_steps: 8, evaluation_sequences: 128 };
const JUDGES = 3;

export async function runLiars(options: LiarsOptions): Promise<LiarsRow[]> {
  const { text, model, stages, rounds, names } = options;
  const runtime = reusingRuntime(await createNativeRuntime({ threads: 1 }));
  try {
    const { context, inner_steps } = SETTINGS;
    const layers = Math.max(MODELS[model].num_hidden_layers, stages - 2);
    const settings = {
      ...{ ...SETTINGS, stages, learning_rate: 5e-3, min_learning_rate: 5e-4, sparse: { step: null } },
      warmup_steps: Math.ceil((rounds * inner_steps) / 20),
      model: {
        ...MODELS[model],
        num_hidden_layers: layers,
        max_position_embeddings: context,
        tie_word_embeddings: false,
      },
    };
    const setup = await setUpPipeline(settings, [text], characterTokenizer(), {});
    const rows: LiarsRow[] = [];
    let honest: ArenaResult | null = null;
    for (const who of [HONEST, ...names]) {
      const result = await playRow(options, setup, runtime, who);
      honest ??= result;
      rows.push(rowOf(who, result, honest));
    }
    return rows;
  } finally {
    await runtime.close();
  }
}

function playRow(
  { stages, replicas, rounds }: LiarsOptions,
  setup: GameSetup,
  runtime: ReusingRuntime,
  who: string,
): Promise<ArenaResult> {
  // The devices of the row before are gone: what they have loaded is lent again.
  runtime.reclaim();
  const liars = Math.ceil(replicas / 2);
  const crowd = { workers: stages * (replicas + liars), validators: JUDGES, share: liars / (replicas + liars) };
  const names = who === HONEST ? [] : who === MIXED ? PIPELINE_LIARS.map(({ name }) => name) : [who];
  return playArena({
    ...{ ...setup, rounds, seed: 'bench pipeline', rules: ARENA_RULES, plant_every: 0 },
    devices: crowdOf(crowd, names.map(adversaryNamed), () => runtime),
    ends_when_broken: who === HONEST,
    onRound: (round, loss_micro) =>
      console.error(`${who}: round ${round + 1} of ${rounds}, validation loss ${(loss_micro / 1e6).toFixed(3)}`),
  });
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

function rowOf(who: string, result: ArenaResult, honest: ArenaResult): LiarsRow {
  const { devices, measured, verified, checking } = result;
  const workers = devices.filter(({ role }) => role === 'worker');
  const lying = workers.filter(({ adversary }) => adversary !== null);
  const fates: Record<string, number> = {};
  for (const device of lying)
    for (const [fate, count] of Object.entries(device.fates)) fates[fate] = (fates[fate] ?? 0) + count;
  const judging = (rounds: ArenaResult['checking']): number =>
    sum(rounds.map(({ check_ms }) => check_ms)) / sum(rounds.map(({ work_ms }) => work_ms));
  const loss = measured.at(-1)! / 1e6;
  const tokens = Math.min(verified.at(-1)!, honest.verified.at(-1)!);
  return {
    ...{ who, loss, verified: verified.at(-1)!, above: lossAt(result, tokens) / lossAt(honest, tokens) - 1 },
    above_at_end: loss / (honest.measured.at(-1)! / 1e6) - 1,
    pay: sum(lying.map(({ shares }) => shares)) / sum(workers.map(({ shares }) => shares)),
    refused: refusedOf(result),
    judging: judging(checking),
    judging_late: judging(checking.slice(Math.floor(checking.length / 2))),
    fates,
  };
}

/** The loss of a run when so much of its work was verified, between two rounds on a line. */
function lossAt({ measured, verified }: ArenaResult, tokens: number): number {
  const after = verified.findIndex((amount) => amount >= tokens);
  if (after === 0) return measured[0] / 1e6;
  const part = (tokens - verified[after - 1]) / (verified[after] - verified[after - 1]);
  return (measured[after - 1] + part * (measured[after] - measured[after - 1])) / 1e6;
}

const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;

export function liarsTable(rows: readonly LiarsRow[]): string {
  const headings = [
    'who lies',
    'loss',
    'verified tokens',
    'above honest',
    'at the end',
    "liars' pay",
    'honest refused',
    'judging',
    'late',
  ];
  const cells = rows.map((row) => [
    ...[row.who, row.loss.toFixed(4), String(row.verified), percent(row.above), percent(row.above_at_end)],
    ...[percent(row.pay), percent(row.refused), percent(row.judging), percent(row.judging_late)],
  ]);
  return table(headings, cells);
}
