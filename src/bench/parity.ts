// Training apart against training together: validation loss against the bytes that a worker sends (Tiny Shakespeare).
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { BenchError } from './errors.ts';
import { type Corpus, readCorpus } from './parity-data.ts';
import { plot } from './parity-plot.ts';
import { type Measured, runTrial, type TrialInput, type TrialResult, TrialSchema } from './parity-trial.ts';
import { readLines, table, writeJson } from './report.ts';

const HELP = `npm run bench parity [-- OPTIONS]

  --data FILE      Tiny Shakespeare (input.txt of char-rnn); default: the file that $POTLUCK_PARITY_TEXT names
  --only LIST      of ${'one, sync, dense-5|15|30|60, sparse-5|15|30|60'} (default: all, some hours)
  --try JSON       one trial of your own instead: the keys of TrialSchema in src/bench/parity-trial.ts,
                   e.g. '{"inner_steps":30,"sparse":{"outer_step":1.2}}'
  --results FILE   keeps each finished trial as a line of JSON and skips those it finds there
  --out FILE       the frontier as an SVG
  --json FILE      the results as JSON; "-" for standard output instead of the table
  --steps N        a shorter run (default 2000)
  --model NAME     small (default, 0.82M parameters), pilot (a seventh of the time), tiny
  --threads N      (default 1)

One process plays all workers, one after another. Bytes are those of the work as it is really handed in.`;

const TEXT_VARIABLE = 'POTLUCK_PARITY_TEXT';
const ROUND_LENGTHS = [5, 15, 30, 60];

/** The configurations of the frontier by name. */
const FRONTIER: Readonly<Record<string, TrialInput>> = {
  one: { workers: 1, exchange: 'none' },
  sync: { workers: 1, exchange: 'none', batch: 48 },
  ...Object.fromEntries(
    ROUND_LENGTHS.map((n) => [`dense-${n}`, { inner_steps: n, exchange: 'dense', sparse: { outer_step: 1 } } as const]),
  ),
  ...Object.fromEntries(ROUND_LENGTHS.map((n) => [`sparse-${n}`, { inner_steps: n, exchange: 'sparse' } as const])),
};

interface Options {
  readonly corpus: Corpus;
  readonly trials: readonly (readonly [string, TrialInput])[];
  readonly results: string | null;
  readonly out: string | null;
  readonly json: string | null;
  readonly threads: number;
}

function optionsOf(args: string[]): Options | null {
  let values: Record<string, string | boolean | undefined>;
  try {
    const text = { type: 'string' } as const;
    ({ values } = parseArgs({
      args,
      options: {
        data: text,
        only: text,
        try: text,
        results: text,
        out: text,
        json: text,
        steps: text,
        model: text,
        threads: text,
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    throw new BenchError('usage', (error as Error).message);
  }
  if (values.help) return null;
  const given = (name: string) => values[name] as string | undefined;
  const path = given('data') ?? process.env[TEXT_VARIABLE];
  if (path === undefined) {
    throw new BenchError('usage', `needs a text: give Tiny Shakespeare by --data FILE or in $${TEXT_VARIABLE}`);
  }
  const common = {
    ...(given('steps') === undefined ? {} : { steps: Number(given('steps')) }),
    ...(given('model') === undefined ? {} : { model: given('model') as TrialInput['model'] }),
  };
  const trials = given('try') === undefined ? chosen(given('only')) : [[given('try')!, parsed(given('try')!)] as const];
  const all = trials.map(([name, trial]) => [name, { ...common, ...trial }] as const);
  for (const [name, trial] of all) {
    const { error } = TrialSchema.safeParse(trial);
    if (error) throw new BenchError('usage', `${name}: ${error.issues[0].path.join('.')}: ${error.issues[0].message}`);
  }
  return {
    corpus: readCorpus(path),
    trials: all,
    results: given('results') ?? null,
    out: given('out') ?? null,
    json: given('json') ?? null,
    threads: Number(given('threads') ?? 1),
  };
}

function parsed(json: string): TrialInput {
  try {
    return JSON.parse(json);
  } catch {
    throw new BenchError('usage', `--try: not JSON: ${json}`);
  }
}

function chosen(only: string | undefined): (readonly [string, TrialInput])[] {
  return (only?.split(',') ?? Object.keys(FRONTIER)).map((name) => {
    if (!(name in FRONTIER)) {
      throw new BenchError('usage', `--only: "${name}" is none of ${Object.keys(FRONTIER).join(', ')}`);
    }
    return [name, FRONTIER[name]] as const;
  });
}

/** What a cached result must agree in to stand for a trial: every setting that acts, defaults too, and the text. */
export function keyOf(trial: TrialInput, corpus: Corpus): string {
  const { train, validation } = corpus;
  const text = sha256Hex(new Uint8Array(train.buffer, train.byteOffset, train.byteLength + validation.byteLength));
  const { sparse, ...settings } = TrialSchema.parse(trial);
  // Trials from before there was a choice of rules, a step, or of weights, keep their key.
  const { merge_rule, step, weights, ...plain } = sparse;
  const since = {
    ...(merge_rule !== 'mean' && { merge_rule }),
    ...(step !== null && { step }),
    ...(weights !== 'f32' && { weights }),
  };
  const acting = { none: null, dense: sparse.outer_step, sparse: { ...plain, ...since } }[settings.exchange];
  return sha256Hex(utf8(JSON.stringify([settings, acting, text])));
}

export function readResults(path: string | null): Map<string, TrialResult> {
  return new Map(readLines<TrialResult & { readonly key: string }>(path).map(({ key, ...result }) => [key, result]));
}

/** Measures the chosen configurations, prints a table, writes the plot. */
export async function run(args: string[]): Promise<void> {
  const options = optionsOf(args);
  if (options === null) {
    console.log(HELP);
    return;
  }
  const { corpus, trials, results, out, json, threads } = options;
  const known = readResults(results);
  const measured: Measured[] = [];
  const runtime = await createNativeRuntime({ threads });
  try {
    for (const [name, trial] of trials) {
      const key = keyOf(trial, corpus);
      let result = known.get(key);
      if (!result) {
        const progress = (step: number, loss: number) =>
          console.error(`${name}: step ${step}, loss on a tenth of the validation windows ${loss.toFixed(3)}`);
        result = await runTrial(runtime, corpus, TrialSchema.parse(trial), progress);
        if (results !== null) {
          mkdirSync(dirname(results), { recursive: true });
          appendFileSync(results, `${JSON.stringify({ key, name, trial, ...result })}\n`);
        }
      }
      measured.push({ ...result, name, trial });
    }
  } finally {
    await runtime.close();
  }
  if (json !== null) writeJson(json, measured);
  if (json !== '-') console.log(frontierTable(measured));
  if (out !== null) writeFileSync(out, plot(measured));
}

function frontierTable(measured: readonly Measured[]): string {
  const headings = [
    'trial',
    'validation loss',
    'averaged',
    'rounds',
    'sent by a worker',
    'against dense',
    'downloaded',
    'against dense',
    'seconds',
  ];
  const rows = measured.map((result) => [
    result.name,
    result.validation_loss.toFixed(4),
    result.averaged_loss?.toFixed(4) ?? '–',
    result.sent_bytes > 0 ? String(result.rounds) : '–',
    ...besideDense(result.sent_bytes, result),
    ...besideDense(result.fetched_bytes, result),
    String(result.seconds),
  ]);
  return table(headings, rows);
}

/** Bytes, and how many times fewer they are than dense ones. */
function besideDense(bytes: number | undefined, { dense_bytes }: Measured): string[] {
  return bytes ? [`${(bytes / 1e6).toFixed(2)} MB`, `${(dense_bytes / bytes).toFixed(1)}×`] : ['–', '–'];
}
