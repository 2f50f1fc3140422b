// One training step's time, tokens a second and peak memory: native, WASM and, with --python, PyTorch, interleaved.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { median } from '../training/statistics.ts';
import { flag, list, oneOf, type Report, text, type Values, whole } from './bench.ts';
import { EngineProcess, type Measured } from './compute-child.ts';
import { WORKLOADS, type Workload } from './compute-workload.ts';
import { BenchError } from './errors.ts';
import { spread, table } from './report.ts';

/** The duration of the steps of one turn: long enough for a median, and so short that all engines have the same conditions. */
const TURN_MS = 2000;
const LIMIT_TURN_STEPS = 40;
/** Steps before the measurement: they allocate memory and compile code. */
const WARM_UP_STEPS = 3;

const TORCH = 'torch';

export const options = {
  sizes: list(oneOf('the model', ['small', 'medium', 'tiny'], 'small'), 'small,medium', 'tiny'),
  threads: list(whole('number of threads', { from: 1, to: 1000, usual: 1 }), '1,2', '1'),
  engines: list(
    oneOf('native-alone keeps waiting threads awake', ['native', 'wasm', 'native-alone'], 'native'),
    'native,wasm',
  ),
  python: text('a Python with torch: also measures PyTorch eager, to which ratios are given', 'PATH'),
  compile: flag('torch.compile too (needs a C++ compiler)'),
  rounds: whole('turns of each engine, one after another', { from: 1, to: 1000, usual: 9, quick: 2 }),
};

export const notes = `Every engine is a process of its own that runs some steps and is idle while the others run theirs. A ratio compares the medians of one
round, because whatever slows a machine down slows down a whole round. Shown are the median of the ratios and half of their
interquartile range. More than 1 means faster than PyTorch eager. Memory is the
most that a process has had; over idle, less what it had before there was a model. If other work runs on the machine, figures with as many threads as
cores are wrong.`;

/** One engine on one model and number of threads. `ratio` is null without PyTorch. */
interface Result {
  readonly size: string;
  readonly threads: number;
  readonly engine: string;
  readonly about: string;
  readonly step_ms: number;
  readonly step_spread_ms: number;
  readonly tokens_per_s: number;
  readonly peak_bytes: number;
  readonly ratio: number | null;
  readonly ratio_spread: number | null;
  /** Of the processes, and of what they have beyond what they had before there was a model. */
  readonly memory_ratio: number | null;
  readonly memory_ratio_over_idle: number | null;
  readonly steps: number;
  readonly loss: number;
}

function startEngine(engine: string, size: string, threads: number, python: string | null): Promise<EngineProcess> {
  if (engine.startsWith(TORCH)) {
    const script = join(import.meta.dirname, 'compute-torch.py');
    const mode = engine === TORCH ? 'eager' : 'compile';
    return EngineProcess.start(engine, python!, [script, JSON.stringify(WORKLOADS[size]), String(threads), mode]);
  }
  const script = join(import.meta.dirname, 'compute-engine.ts');
  const args = ['--engine', engine, '--size', size, '--threads', String(threads)];
  return EngineProcess.start(engine, process.execPath, ['--expose-gc', script, ...args]);
}

/** All turns of all engines on one model and number of threads; the order changes from round to round. */
async function measure(
  size: string,
  threads: number,
  names: readonly string[],
  { python, rounds }: Values<typeof options>,
): Promise<Result[]> {
  const engines: EngineProcess[] = [];
  try {
    for (const name of names) engines.push(await startEngine(name, size, threads, python));
    const stepsPerTurn = new Map<EngineProcess, number>();
    for (const engine of engines) {
      const { times_ms } = await engine.run(WARM_UP_STEPS);
      stepsPerTurn.set(engine, Math.min(LIMIT_TURN_STEPS, Math.ceil(TURN_MS / times_ms.at(-1)!)));
    }
    const turns = new Map<EngineProcess, Measured[]>(engines.map((engine) => [engine, []]));
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < engines.length; i++) {
        const engine = engines[(i + round) % engines.length];
        await engine.run(1); // fills the processor's caches again
        turns.get(engine)!.push(await engine.run(stepsPerTurn.get(engine)!));
      }
    }
    const torch = engines.find((engine) => engine.name === TORCH);
    const baseline = torch && { ...torch, turns: turns.get(torch)! };
    return engines.map((engine) => resultOf(size, threads, engine, turns.get(engine)!, baseline));
  } finally {
    await Promise.all(engines.map((engine) => engine.end()));
  }
}

function resultOf(
  size: string,
  threads: number,
  engine: EngineProcess,
  turns: readonly Measured[],
  baseline: { readonly idle_bytes: number; readonly turns: readonly Measured[] } | undefined,
): Result {
  const workload: Workload = WORKLOADS[size];
  const times = turns.flatMap((turn) => turn.times_ms);
  const ratios = baseline?.turns.map((other, round) => median(other.times_ms) / median(turns[round].times_ms));
  const peak = (of: readonly Measured[]) => Math.max(...of.map((turn) => turn.peak_bytes));
  const step_ms = median(times);
  return {
    size,
    threads,
    engine: engine.name,
    about: engine.about,
    step_ms,
    step_spread_ms: spread(times),
    tokens_per_s: (workload.batch * workload.context * 1000) / step_ms,
    peak_bytes: peak(turns),
    ratio: ratios ? median(ratios) : null,
    ratio_spread: ratios ? spread(ratios) : null,
    memory_ratio: baseline ? peak(turns) / peak(baseline.turns) : null,
    memory_ratio_over_idle: baseline
      ? (peak(turns) - engine.idle_bytes) / (peak(baseline.turns) - baseline.idle_bytes)
      : null,
    steps: times.length,
    loss: turns.at(-1)!.loss,
  };
}

function rowOf(result: Result): string[] {
  const fixed = (value: number | null, digits: number) => (value === null ? '–' : value.toFixed(digits));
  return [
    `${result.size}, ${result.threads} thread${result.threads === 1 ? '' : 's'}: ${result.engine}`,
    `${fixed(result.step_ms, 1)} ± ${fixed(result.step_spread_ms, 1)}`,
    result.tokens_per_s.toFixed(0),
    result.ratio === null ? '–' : `${fixed(result.ratio, 3)} ± ${fixed(result.ratio_spread, 3)}`,
    (result.peak_bytes / 2 ** 20).toFixed(0),
    fixed(result.memory_ratio, 2),
    fixed(result.memory_ratio_over_idle, 2),
  ];
}

export async function run(values: Values<typeof options>): Promise<Report> {
  const { sizes, threads, engines, python, compile } = values;
  if (python?.includes('/') && !existsSync(python)) throw new BenchError('usage', `--python: there is no ${python}`);
  if (compile && python === null) throw new BenchError('usage', '--compile needs --python PATH');
  const all = [...engines, ...(python === null ? [] : [TORCH]), ...(compile ? ['torch-compile'] : [])];
  const results: Result[] = [];
  for (const size of sizes) {
    for (const count of threads) results.push(...(await measure(size, count, all, values)));
  }
  const beside = ['memory / PyTorch', 'over idle'];
  const headings = ['training step', 'ms', 'tokens/s', 'speed / PyTorch eager', 'peak MiB', ...beside];
  const abouts = new Set(results.map((result) => `${result.engine}: ${result.about}`));
  return {
    data: { bench: 'compute', workloads: WORKLOADS, results },
    text: [table(headings, results.map(rowOf)), ...abouts].join('\n'),
  };
}
