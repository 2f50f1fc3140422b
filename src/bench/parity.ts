// Training with rare communication against synchronous training: validation loss against the bytes that a worker sends (Tiny Shakespeare).
import { writeFileSync } from 'node:fs';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { list, oneOf, optional, type Report, text, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { type Corpus, readCorpus } from './parity-data.ts';
import { plot } from './parity-plot.ts';
import { type Measured, MODEL_NAMES, runTrial, type TrialInput, TrialSchema } from './parity-trial.ts';
import { keptResults, table } from './report.ts';

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

const NAMES = Object.keys(FRONTIER);

export const options = {
  data: text(`Tiny Shakespeare (input.txt of char-rnn); otherwise the file that $${TEXT_VARIABLE} names`, 'FILE'),
  only: optional(list(oneOf('trials, otherwise all, which takes some hours', NAMES, 'one'))),
  try: text('one trial of your own instead: the keys of TrialSchema in src/bench/parity-trial.ts', 'JSON'),
  results: text('keeps each finished trial as a line of JSON, and skips the trials that it finds there', 'FILE'),
  out: text('the frontier as an SVG', 'FILE'),
  steps: optional(whole('inner steps of each worker; otherwise 2000', { from: 1, to: 100_000, usual: 2000 })),
  model: optional(oneOf('small has 0.82M parameters, pilot takes a seventh of its time', MODEL_NAMES, 'small')),
  threads: whole('threads of the runtime', { from: 1, to: 1000, usual: 1 }),
};

export const notes = `One process plays all workers, one after another. Bytes are those of the work as workers really hand it in.
Example of --try: '{"inner_steps":30,"sparse":{"outer_step":1.2}}'`;

/** The trials by name. Throws BenchError `usage` for invalid settings. */
function trialsOf({ only, try: own, steps, model }: Values<typeof options>): (readonly [string, TrialInput])[] {
  const common = { ...(steps !== null && { steps }), ...(model !== null && { model }) };
  const trials =
    own === null ? (only ?? NAMES).map((name) => [name, FRONTIER[name]] as const) : [[own, parsed(own)] as const];
  return trials.map(([name, trial]) => {
    const whole = { ...common, ...trial };
    checkTrial(name, whole);
    return [name, whole] as const;
  });
}

/** Throws BenchError `usage` for invalid settings of a trial. */
export function checkTrial(name: string, trial: TrialInput): void {
  const { error } = TrialSchema.safeParse(trial);
  if (error) throw new BenchError('usage', `${name}: ${error.issues[0].path.join('.')}: ${error.issues[0].message}`);
}

function parsed(json: string): TrialInput {
  try {
    return JSON.parse(json);
  } catch {
    throw new BenchError('usage', `--try: not JSON: ${json}`);
  }
}

/** The key of a kept result: a hash of the text and of every setting that has an effect, defaults included. */
export function keyOf(trial: TrialInput, corpus: Corpus): string {
  const { train, validation } = corpus;
  const text = sha256Hex(new Uint8Array(train.buffer, train.byteOffset, train.byteLength + validation.byteLength));
  const { sparse, ...settings } = TrialSchema.parse(trial);
  // Trials from before these settings existed keep their keys.
  const { merge_rule, step, weights, ...plain } = sparse;
  const since = {
    ...(merge_rule !== 'mean' && { merge_rule }),
    ...(step !== null && { step }),
    ...(weights !== 'f32' && { weights }),
  };
  const acting = { none: null, dense: sparse.outer_step, sparse: { ...plain, ...since } }[settings.exchange];
  return sha256Hex(utf8(JSON.stringify([settings, acting, text])));
}

export async function run(given: Values<typeof options>): Promise<Report> {
  const path = given.data ?? process.env[TEXT_VARIABLE];
  if (path === undefined) {
    throw new BenchError('usage', `needs a text: give Tiny Shakespeare by --data FILE or in $${TEXT_VARIABLE}`);
  }
  const trials = trialsOf(given);
  const corpus = readCorpus(path);
  const kept = keptResults<Measured>(given.results);
  const measured: Measured[] = [];
  const runtime = await createNativeRuntime({ threads: given.threads });
  try {
    for (const [name, trial] of trials) {
      const progress = (step: number, loss: number) =>
        console.error(`${name}: step ${step}, loss on a tenth of the validation windows ${loss.toFixed(3)}`);
      const run = () => runTrial(runtime, corpus, TrialSchema.parse(trial), progress);
      const result = await kept(keyOf(trial, corpus), async () => ({ name, trial, ...(await run()) }));
      measured.push({ ...result, name, trial });
    }
  } finally {
    await runtime.close();
  }
  if (given.out !== null) writeFileSync(given.out, plot(measured));
  return { data: measured, text: frontierTable(measured) };
}

function frontierTable(measured: readonly Measured[]): string {
  const bytes = ['sent by a worker', 'against dense', 'downloaded', 'against dense'];
  const headings = ['trial', 'validation loss', 'averaged', 'rounds', ...bytes, 'seconds'];
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
