// One training step's time, tokens a second and peak memory: native, WASM and, with --python, PyTorch, interleaved.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from '../training/statistics.ts';
import { EngineProcess, type Measured } from './compute-child.ts';
import { WORKLOADS, type Workload } from './compute-workload.ts';
import { BenchError } from './errors.ts';
import { spread, table, writeJson } from './report.ts';

const HELP = `npm run bench compute [-- OPTIONS]

  --sizes LIST     of small, medium, tiny (default small,medium)
  --threads LIST   (default 1,2)
  --engines LIST   of native, wasm, native-alone (waiting threads stay awake) (default native,wasm)
  --python PATH    a Python with torch: PyTorch eager beside them, to which ratios are given
  --compile        torch.compile too (needs a C++ compiler)
  --rounds N       turns of each engine, one after another (default 9)
  --json FILE      the measurements as JSON; "-" for standard output instead of the table
  --quick          the tiny model, two rounds: shows that the bench works

Every engine is a process of its own that runs some steps and is idle while the others do. A ratio compares the
medians of one round, because whatever slows a machine down slows down a whole round; given are the median of the
ratios and half of their interquartile range. More than 1 means faster than PyTorch eager.
Other work on the machine spoils figures with as many threads as cores.`;

/** The steps of one turn take about this long: enough to have a median, short enough to meet the same conditions. */
const TURN_MS = 2000;
const LIMIT_TURN_STEPS = 40;
/** Steps before anything is measured: allocations, code that is compiled late. */
const WARM_UP_STEPS = 3;

const TORCH = 'torch';
const ENGINES = ['native', 'wasm', 'native-alone'];
const DEFAULT_ENGINES = 'native,wasm';

interface Options {
  readonly sizes: readonly string[];
  readonly threads: readonly number[];
  readonly engines: readonly string[];
  readonly python: string | null;
  readonly rounds: number;
  readonly json: string | null;
}

/** One engine on one model and number of threads. `ratio` is null without PyTorch beside it. */
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
  readonly memory_ratio: number | null;
  readonly steps: number;
  readonly loss: number;
}

function listOf(option: string, text: string, known: readonly string[]): string[] {
  const list = text.split(',');
  for (const name of list) {
    if (!known.includes(name)) throw new BenchError('usage', `--${option}: "${name}" is none of ${known.join(', ')}`);
  }
  return list;
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1000) {
    throw new BenchError('usage', `--${option}: expected a whole number from 1 to 1000, got "${text}"`);
  }
  return value;
}

/** The options, or null where help was asked for. */
function optionsOf(args: string[]): Options | null {
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        sizes: { type: 'string' },
        threads: { type: 'string' },
        engines: { type: 'string' },
        python: { type: 'string' },
        rounds: { type: 'string' },
        json: { type: 'string' },
        compile: { type: 'boolean' },
        quick: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    throw new BenchError('usage', `compute: ${(error as Error).message}`);
  }
  if (values.help) return null;
  const text = (name: string, otherwise: string) => (values[name] as string | undefined) ?? otherwise;
  const python = text('python', '');
  if (python.includes('/') && !existsSync(python)) throw new BenchError('usage', `--python: there is no ${python}`);
  if (values.compile && python === '') throw new BenchError('usage', '--compile needs --python PATH');
  return {
    sizes: listOf('sizes', text('sizes', values.quick ? 'tiny' : 'small,medium'), Object.keys(WORKLOADS)),
    threads: text('threads', values.quick ? '1' : '1,2')
      .split(',')
      .map((count) => wholeNumber('threads', count)),
    engines: [
      ...listOf('engines', text('engines', DEFAULT_ENGINES), ENGINES),
      ...(python === '' ? [] : [TORCH]),
      ...(values.compile ? ['torch-compile'] : []),
    ],
    python: python === '' ? null : python,
    rounds: wholeNumber('rounds', text('rounds', values.quick ? '2' : '9')),
    json: (values.json as string | undefined) ?? null,
  };
}

function startEngine(engine: string, size: string, threads: number, python: string | null): Promise<EngineProcess> {
  if (engine.startsWith(TORCH)) {
    const script = join(import.meta.dirname, 'compute-torch.py');
    const mode = engine === TORCH ? 'eager' : 'compile';
    return EngineProcess.start(engine, python!, [script, JSON.stringify(WORKLOADS[size]), String(threads), mode]);
  }
  const script = join(import.meta.dirname, 'compute-engine.ts');
  const args = ['--engine', engine, '--size', size, '--threads', String(threads)];
  return EngineProcess.start(engine, process.execPath, [script, ...args]);
}

/** All turns of all engines on one model and number of threads; the order changes from round to round. */
async function measure(size: string, threads: number, options: Options): Promise<Result[]> {
  const engines: EngineProcess[] = [];
  try {
    for (const engine of options.engines) engines.push(await startEngine(engine, size, threads, options.python));
    const stepsPerTurn = new Map<EngineProcess, number>();
    for (const engine of engines) {
      const { times_ms } = await engine.run(WARM_UP_STEPS);
      stepsPerTurn.set(engine, Math.min(LIMIT_TURN_STEPS, Math.ceil(TURN_MS / times_ms.at(-1)!)));
    }
    const turns = new Map<EngineProcess, Measured[]>(engines.map((engine) => [engine, []]));
    for (let round = 0; round < options.rounds; round++) {
      for (let i = 0; i < engines.length; i++) {
        const engine = engines[(i + round) % engines.length];
        await engine.run(1); // back into the caches that the others have used
        turns.get(engine)!.push(await engine.run(stepsPerTurn.get(engine)!));
      }
    }
    const baseline = engines.find((engine) => engine.name === TORCH);
    return engines.map((engine) =>
      resultOf(size, threads, engine, turns.get(engine)!, baseline && turns.get(baseline)!),
    );
  } finally {
    await Promise.all(engines.map((engine) => engine.end()));
  }
}

function resultOf(
  size: string,
  threads: number,
  engine: EngineProcess,
  turns: readonly Measured[],
  baseline: readonly Measured[] | undefined,
): Result {
  const workload: Workload = WORKLOADS[size];
  const times = turns.flatMap((turn) => turn.times_ms);
  const ratios = baseline?.map((other, round) => median(other.times_ms) / median(turns[round].times_ms));
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
    memory_ratio: baseline ? peak(turns) / peak(baseline) : null,
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
  ];
}

/** `bench compute`; see HELP. */
export async function run(args: string[]): Promise<void> {
  const options = optionsOf(args);
  if (options === null) {
    console.log(HELP);
    return;
  }
  const results: Result[] = [];
  for (const size of options.sizes) {
    for (const threads of options.threads) results.push(...(await measure(size, threads, options)));
  }
  if (options.json !== '-') {
    const headings = ['training step', 'ms', 'tokens/s', 'speed / PyTorch eager', 'peak MiB', 'memory / PyTorch'];
    console.log(table(headings, results.map(rowOf)));
    for (const about of new Set(results.map((result) => `${result.engine}: ${result.about}`))) console.log(about);
  }
  if (options.json !== null) writeJson(options.json, { bench: 'compute', workloads: WORKLOADS, results });
}
