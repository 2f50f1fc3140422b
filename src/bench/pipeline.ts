// A model in stages: its loss by how boundaries are coded, against the whole model on one device, and the memory of one stage.
import { writeFileSync } from 'node:fs';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { list, oneOf, type Report, text, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { lossPlot } from './loss-plot.ts';
import { readCorpus, readText } from './parity-data.ts';
import { MODEL_NAMES } from './parity-trial.ts';
import { largerTable, runLarger } from './pipeline-larger.ts';
import { LIARS, liarsTable, runLiars } from './pipeline-liars.ts';
import { memoryReport } from './pipeline-memory.ts';
import { roundsTable, runRounds } from './pipeline-rounds.ts';
import {
  type PipelineResult,
  type PipelineTrialInput,
  PipelineTrialSchema,
  runPipelineTrial,
} from './pipeline-trial.ts';
import { keptResults, table } from './report.ts';

const TEXT_VARIABLE = 'POTLUCK_PARITY_TEXT';
const PARTS = ['boundaries', 'memory', 'rounds', 'larger', 'liars'] as const;
/** What is measured where nothing is asked for: `larger` starts a dozen processes, and `liars` plays a run for each of them. */
const USUAL_PARTS = 'boundaries,memory,rounds';

const tokens = 'trained' as const;
/** The codings by name; the first is what the others are compared with. */
const CODINGS: Readonly<Record<string, PipelineTrialInput>> = {
  whole: { stages: 1 },
  f32: {},
  '8-bits': { boundary: { bits: 8, gradient_bits: 8 } },
  '4-bits': { boundary: { bits: 4, gradient_bits: 4 } },
  'narrow-32': { boundary: { width: 32, bits: 4, gradient_bits: 4 } },
  'tokens-32': { boundary: { tokens, width: 32, bits: 4, gradient_bits: 4 } },
  'tokens-16': { boundary: { tokens, width: 16, bits: 4, gradient_bits: 4, scale_rows: 2 } },
  'tokens-8': { boundary: { tokens, width: 8, bits: 4, gradient_bits: 4, scale_rows: 4 } },
};
const NAMES = Object.keys(CODINGS);
const QUICK = 'whole,f32,4-bits,tokens-16';

export const options = {
  data: text(`Tiny Shakespeare (input.txt of char-rnn); otherwise the file that $${TEXT_VARIABLE} names`, 'FILE'),
  only: list(oneOf('parts', PARTS, 'boundaries'), USUAL_PARTS),
  codings: list(oneOf('codings of boundaries', NAMES, 'whole'), NAMES.join(), QUICK),
  try: text(
    'one trial of your own beside the others: the keys of PipelineTrialSchema in src/bench/pipeline-trial.ts',
    'JSON',
  ),
  results: text('keeps each finished trial as a line of JSON, and skips the trials that it finds there', 'FILE'),
  out: text('the codings by loss and bytes as an SVG', 'FILE'),
  steps: whole('steps of a trial', { from: 1, to: 100_000, usual: 2000, quick: 60 }),
  stride: whole('every so many windows of the validation text count', { from: 1, to: 1000, usual: 1, quick: 4 }),
  model: oneOf('small has 0.82M parameters, pilot takes a seventh of its time', MODEL_NAMES, 'small', 'tiny'),
  stages: whole('stages of the model', { from: 2, to: 16, usual: 4, quick: 2 }),
  replicas: whole('devices of each stage in --only rounds and larger', { from: 1, to: 64, usual: 2 }),
  rounds: whole('rounds of 30 steps in --only rounds', { from: 1, to: 1000, usual: 20, quick: 2 }),
  larger_rounds: whole('rounds of two steps in --only larger', { from: 1, to: 1000, usual: 2, quick: 1 }),
  liars: list(
    oneOf('who lies in --only liars (mixed: all kinds in turn), beside a run in which nobody does', LIARS, 'mixed'),
    LIARS.join(),
    'forward-only,mixed',
  ),
  liars_rounds: whole('rounds of eight steps in --only liars', { from: 1, to: 10_000, usual: 8, quick: 2 }),
  threads: whole('threads of the runtime', { from: 1, to: 1000, usual: 1 }),
};

export const notes = `One process plays all stages, one after another; what crosses a boundary is the bytes that devices would send.
Ratios are against float32 activations and gradients: of values with their scales, and of whole messages as they are sent.
A twentieth of the messages is made and measured.
Example: --codings whole --try '{"boundary":{"tokens":"trained","width":24,"bits":4,"gradient_bits":4}}'`;

interface Measured extends PipelineResult {
  readonly name: string;
  readonly trial: PipelineTrialInput;
}

function trialsOf({ codings, try: own, steps, model, stride, stages }: Values<typeof options>) {
  const common = { steps, model, stride, stages };
  const listed = codings.map((name) => [name, { ...common, ...CODINGS[name] }] as const);
  const trials = own === null ? listed : [...listed, [own, { ...common, ...parsed(own) }] as const];
  for (const [name, trial] of trials) {
    const { error } = PipelineTrialSchema.safeParse(trial);
    const issue = error?.issues[0];
    if (issue) throw new BenchError('usage', `${name}: ${issue.path.join('.')}: ${issue.message}`);
  }
  return trials;
}

function parsed(json: string): PipelineTrialInput {
  try {
    return JSON.parse(json);
  } catch {
    throw new BenchError('usage', `--try: not JSON: ${json}`);
  }
}

export async function run(given: Values<typeof options>): Promise<Report> {
  const boundaries = given.only.includes('boundaries') ? await boundariesReport(given) : null;
  const memory = given.only.includes('memory') ? await memoryReport(given.model, given.stages) : null;
  const rounds = given.only.includes('rounds') ? await roundsReport(given) : null;
  const larger = given.only.includes('larger') ? await largerReport(given) : null;
  const liars = given.only.includes('liars') ? await liarsReport(given) : null;
  const parts = [boundaries, memory, rounds, larger, liars].filter((part) => part !== null);
  return {
    data: {
      ...(boundaries && { boundaries: boundaries.data }),
      ...(memory && { memory: memory.data }),
      ...(rounds && { rounds: rounds.data }),
      ...(larger && { larger: larger.data }),
      ...(liars && { liars: liars.data }),
    },
    text: parts.map(({ text }) => text).join('\n\n'),
  };
}

function textPath({ data }: Values<typeof options>): string {
  const path = data ?? process.env[TEXT_VARIABLE];
  if (path !== undefined) return path;
  throw new BenchError('usage', `needs a text: give Tiny Shakespeare by --data FILE or in $${TEXT_VARIABLE}`);
}

async function roundsReport(given: Values<typeof options>) {
  const { model, stages, replicas, rounds } = given;
  const results = await runRounds({ text: readText(textPath(given)), model, stages, replicas, rounds });
  return { data: results, text: roundsTable(results) };
}

async function largerReport(given: Values<typeof options>) {
  const { model, stages, replicas, larger_rounds: rounds } = given;
  const result = await runLarger({ text: readText(textPath(given)), model, stages, replicas, rounds });
  return { data: result, text: largerTable(result) };
}

async function liarsReport(given: Values<typeof options>) {
  const { model, stages, replicas, liars_rounds: rounds, liars: names } = given;
  const rows = await runLiars({ text: readText(textPath(given)), model, stages, replicas, rounds, names });
  return { data: rows, text: liarsTable(rows) };
}

async function boundariesReport(given: Values<typeof options>) {
  const path = textPath(given);
  const trials = trialsOf(given);
  const corpus = readCorpus(path);
  const kept = keptResults<Measured>(given.results);
  const measured: Measured[] = [];
  const runtime = await createNativeRuntime({ threads: given.threads });
  try {
    for (const [name, trial] of trials) {
      const settings = PipelineTrialSchema.parse(trial);
      const key = sha256Hex(utf8(JSON.stringify([settings, corpus.train.length, corpus.vocab])));
      const progress = (step: number, loss: number) => console.error(`${name}: step ${step}, loss ${loss.toFixed(3)}`);
      const result = await kept(key, async () => {
        return { name, trial, ...(await runPipelineTrial(runtime, corpus, settings, progress)) };
      });
      measured.push({ ...result, name, trial });
    }
  } finally {
    await runtime.close();
  }
  if (given.out !== null) writeFileSync(given.out, plot(given, measured));
  return { data: measured, text: boundariesTable(measured) };
}

const plot = ({ steps, stages }: Values<typeof options>, measured: readonly Measured[]): string =>
  lossPlot({
    title: 'Validation loss against how much smaller than float32 is what crosses a boundary',
    above: `validation loss (nats), ${stages} stages, ${steps} steps`,
    axis: 'times fewer bytes than float32, as sent, both directions together',
    base: 2,
    tick: (ratio) => `${ratio}×`,
    series: [
      {
        colour: '#1a6fb5',
        points: measured.flatMap(({ name, validation_loss: loss, traffic }) =>
          traffic && traffic.ratio > 1 ? { at: traffic.wire_ratio, loss, label: name } : [],
        ),
      },
    ],
    lines: measured
      .filter(({ traffic }) => !traffic)
      .map(({ name, validation_loss: loss }) => ({ loss, label: `${name} model` })),
  });

function boundariesTable(measured: readonly Measured[]): string {
  const [first] = measured;
  const headings = [
    'boundary',
    'loss',
    `to ${first.name}`,
    'bytes a token',
    'ratio',
    'as sent',
    'ratio',
    'exported',
    'seconds',
  ];
  const rows = measured.map(({ name, validation_loss, exported_loss, traffic, seconds }) => [
    name,
    validation_loss.toFixed(4),
    `${(100 * (validation_loss / first.validation_loss - 1)).toFixed(2)} %`,
    traffic ? `${traffic.forward_bytes.toFixed(1)} + ${traffic.backward_bytes.toFixed(1)}` : '–',
    traffic ? `${traffic.ratio.toFixed(1)}×` : '–',
    traffic ? `${traffic.wire_forward_bytes.toFixed(1)} + ${traffic.wire_backward_bytes.toFixed(1)}` : '–',
    traffic ? `${traffic.wire_ratio.toFixed(1)}×` : '–',
    exported_loss.toFixed(4),
    String(seconds),
  ]);
  return table(headings, rows);
}
