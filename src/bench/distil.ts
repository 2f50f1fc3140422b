// Distillation: a student that learns a teacher's text with the logprobs of its likeliest tokens, beside the same student on the same tokens without them.
import { memoryBlobs } from '../games/memory-blobs.ts';
import { type LlamaConfig, LlamaConfigSchema, type Weights } from '../model/config.ts';
import { openDecoder } from '../model/generate.ts';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer, type Tokenizer } from '../model/tokenizer.ts';
import { type Random, seededRandom } from '../protocol/random.ts';
import { logSum } from '../serving/logprobs.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { type Training, trainAlone } from '../training/alone.ts';
import { assignedBatches } from '../training/assignment.ts';
import { defaultCorpus } from '../training/corpus-default.ts';
import { learn } from '../training/lessons.ts';
import { learningRate } from '../training/schedule.ts';
import { type DatasetManifest, decodeShard } from '../training/shards.ts';
import { decodeSoftRows, LIMIT_TOP, type Likely } from '../training/soft-shards.ts';
import { SparseOptionsSchema } from '../training/sparse.ts';
import { mean } from '../training/statistics.ts';
import { buildTaughtDataset, type TaughtText } from '../training/taught-dataset.ts';
import { createEvaluator, type Evaluator, meanLoss } from '../training/trainer.ts';
import { randomBatch, windowBatches } from '../training/windows.ts';
import { type Report, type Values, whole } from './bench.ts';
import { interval95, signed, table } from './report.ts';

export const options = {
  seeds: whole('students of each kind', { from: 2, to: 50, usual: 4 }),
  tokens: whole('tokens that the teacher writes', { from: 2000, to: 10_000_000, usual: 60_000 }),
  steps: whole('steps of each student', { from: 2, to: 100_000, usual: 450 }),
  teacherSteps: whole('steps of the teacher', { from: 2, to: 100_000, usual: 1200 }),
};

export const notes = `The teacher learns the default text; then it writes texts of its own at temperature 1. Each student is trained as one worker of a run is
(training/alone.ts), from first weights and in an order of the data that its seed decides; the students of one seed differ in nothing but what they learn from.
Losses are in nats a byte, on text that the teacher wrote and nobody learned from, and on held-out real text. The intervals are those of 95 % of the
differences to the student without logprobs, by seed.`;

const CONTEXT = 64;
const BATCH = 12;
const TEXT_TOKENS = 128;
const CORPUS_CHARACTERS = 2_000_000;
const HELD_OUT_TOKENS = 60_000;
const ROUND_STEPS = 30;
const ADAMW = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, clip: 1 };

const modelOf = (width: number, layers: number): LlamaConfig =>
  LlamaConfigSchema.parse({
    ...{ vocab_size: byteTokenizer().vocab_size, hidden_size: width, intermediate_size: Math.round(2.75 * width) },
    ...{ num_hidden_layers: layers, num_attention_heads: 4, max_position_embeddings: 2 * TEXT_TOKENS },
  });
const TEACHER = modelOf(128, 4);
const STUDENT = modelOf(64, 2);

/** What a student learns from: how much of the teacher's word, and of how many tokens; null: from the tokens alone. */
const ARMS = [
  { name: 'tokens alone', teacher: null },
  { name: 'half logprobs of 20', teacher: { top: 20, weight: 0.5 } },
  { name: 'logprobs of 20', teacher: { top: 20, weight: 1 } },
] as const;

interface Taught {
  readonly manifest: DatasetManifest;
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

type HeldOut = ReturnType<typeof windowBatches>;

export async function run({ seeds, tokens, steps, teacherSteps }: Values<typeof options>): Promise<Report> {
  const runtime = await createNativeRuntime({ threads: 1 });
  try {
    const text = await corpusTokens();
    const real = text.subarray(0, HELD_OUT_TOKENS);
    const teacher = await trainedTeacher(runtime, text.subarray(HELD_OUT_TOKENS), teacherSteps);
    const taught = await collected(runtime, teacher, tokens);
    const shards = taught.manifest.validation.flatMap(({ hash }) => [
      ...decodeShard(taught.blobs.get(hash)!, taught.manifest),
    ]);
    const held_out = {
      own: windowBatches(Int32Array.from(shards), BATCH, CONTEXT),
      real: windowBatches(real, BATCH, CONTEXT, 4),
    };
    const evaluator = await createEvaluator(runtime, STUDENT, { batch: BATCH, context: CONTEXT });
    const losses: { own: number[]; real: number[] }[] = ARMS.map(() => ({ own: [], real: [] }));
    for (let seed = 0; seed < seeds; seed++) {
      for (const [arm, { teacher }] of ARMS.entries()) {
        const weights = await student(runtime, taught, { steps, seed, teacher });
        losses[arm].own.push(await meanLoss(evaluator, weights, held_out.own));
        losses[arm].real.push(await meanLoss(evaluator, weights, held_out.real));
      }
    }
    const of = await teacherLosses(runtime, teacher, held_out);
    const data = ARMS.map(({ name }, arm) => ({
      ...{ name, own: losses[arm].own, real: losses[arm].real },
      own_difference: interval95(differences(losses[arm].own, losses[0].own)),
      real_difference: interval95(differences(losses[arm].real, losses[0].real)),
    }));
    const rows = data.map(({ name, own, real, own_difference, real_difference }) => [
      ...[name, mean(own).toFixed(4), signed(own_difference, 4)],
      ...[mean(real).toFixed(4), signed(real_difference, 4)],
    ]);
    const heading = ['student', "teacher's text", 'difference', 'real text', 'difference'];
    const above = table(heading, [...rows, ['the teacher itself', of.own.toFixed(4), '', of.real.toFixed(4), '']]);
    return { data: { students: data, teacher: of }, text: above };
  } finally {
    await runtime.close();
  }
}

async function corpusTokens(): Promise<Int32Array> {
  const tokenizer = byteTokenizer();
  const ids: number[] = [];
  for await (const text of defaultCorpus()) {
    if (ids.length >= CORPUS_CHARACTERS) break;
    for (const id of tokenizer.encode(text)) ids.push(id);
    ids.push(tokenizer.eos_id!);
  }
  return Int32Array.from(ids);
}

async function trainedTeacher(runtime: Runtime, text: Int32Array, steps: number): Promise<Weights> {
  const random = seededRandom('bench distil', 'teacher');
  const schedule = { total_steps: steps, warmup_steps: steps / 20, learning_rate: 3e-3, min_learning_rate: 3e-4 };
  return learn(runtime, TEACHER, {
    ...{ batch: 8, context: TEXT_TOKENS, adamw: ADAMW, first: initialWeights(TEACHER, 'teacher'), steps },
    batchOf: () => randomBatch(text, random, 8, TEXT_TOKENS),
    rateOf: (step) => learningRate(step, schedule),
  });
}

/** A dataset of what the teacher writes, in memory. */
async function collected(runtime: Runtime, weights: Weights, expected_tokens: number): Promise<Taught> {
  const tokenizer = byteTokenizer();
  const { blobs, put } = memoryBlobs();
  const texts = writtenTexts(runtime, weights, tokenizer, expected_tokens);
  const { manifest } = await buildTaughtDataset(texts, { tokenizer, top: LIMIT_TOP, expected_tokens, put });
  return { manifest, blobs };
}

async function* writtenTexts(
  runtime: Runtime,
  weights: Weights,
  tokenizer: Tokenizer,
  tokens: number,
): AsyncGenerator<TaughtText> {
  const decoder = await openDecoder(runtime, { config: TEACHER, weights }, TEXT_TOKENS);
  const random = seededRandom('bench distil', 'writing');
  for (let written = 0; written < tokens; ) {
    decoder.rewind();
    const ids: number[] = [];
    const rows: Likely[][] = [];
    for (let next = tokenizer.bos_id!; ids.length < TEXT_TOKENS - 1; ) {
      const logprobs = logSoftmax(await decoder.append([next]));
      next = drawn(logprobs, random);
      if (next === tokenizer.eos_id) break;
      ids.push(next);
      rows.push(likeliest(logprobs));
    }
    written += ids.length + 1;
    yield { ids, rows };
  }
  await decoder.close();
}

function logSoftmax(logits: Float32Array): Float64Array {
  const sum = logSum(logits);
  return Float64Array.from(logits, (logit) => logit - sum);
}

function drawn(logprobs: Float64Array, random: Random): number {
  let left = random.uint32() / 2 ** 32;
  for (const [id, logprob] of logprobs.entries()) {
    left -= Math.exp(logprob);
    if (left < 0) return id;
  }
  return logprobs.length - 1;
}

const likeliest = (logprobs: Float64Array): Likely[] =>
  [...logprobs.entries()].sort((a, b) => b[1] - a[1]).slice(0, LIMIT_TOP);

interface StudentOptions {
  readonly steps: number;
  readonly seed: number;
  readonly teacher: (typeof ARMS)[number]['teacher'];
}

/** One worker's training, as in a run. */
async function student(runtime: Runtime, taught: Taught, { steps, seed, teacher }: StudentOptions): Promise<Weights> {
  const { manifest, blobs } = taught;
  const training: Training = {
    ...{ model: STUDENT, batch: BATCH, context: CONTEXT, adamw: ADAMW, workers: 1 },
    soft_tokens: teacher ? teacher.top + 1 : undefined,
    rounds: Array.from({ length: Math.ceil(steps / ROUND_STEPS) }, (_, i) =>
      Math.min(ROUND_STEPS, steps - i * ROUND_STEPS),
    ),
    schedule: { total_steps: steps, warmup_steps: steps / 20, learning_rate: 3e-3, min_learning_rate: 3e-4 },
    sparse: SparseOptionsSchema.parse({}),
  };
  const shardOf = async (hash: string) => decodeShard(blobs.get(hash)!, manifest);
  const { vocab_size, token_bytes } = manifest;
  const source = teacher && {
    weight: teacher.weight,
    rowsOf: async ({ soft, tokens }: DatasetManifest['train'][number]) =>
      decodeSoftRows(blobs.get(soft!)!, { vocab_size, token_bytes, top: LIMIT_TOP, tokens }),
  };
  const text = (worker: number, round: number) => {
    const options = {
      batch: BATCH,
      context: CONTEXT,
      shards_per_round: 2,
      seed: `${seed} ${round}`,
      worker: `${worker}`,
    };
    return assignedBatches(manifest, options, shardOf, source ?? undefined);
  };
  let last: Weights = new Map();
  for await (const weights of trainAlone(runtime, training, text, initialWeights(STUDENT, seed))) last = weights;
  return last;
}

async function teacherLosses(runtime: Runtime, weights: Weights, { own, real }: { own: HeldOut; real: HeldOut }) {
  const evaluator: Evaluator = await createEvaluator(runtime, TEACHER, { batch: BATCH, context: CONTEXT });
  return { own: await meanLoss(evaluator, weights, own), real: await meanLoss(evaluator, weights, real) };
}

/** Of students of one seed. */
const differences = (losses: readonly number[], others: readonly number[]): number[] =>
  losses.map((loss, i) => loss - others[i]);
