// Compares Potluck with Hugging Face transformers in both directions: folders that Potluck writes, and folders that transformers writes.
//   node test/transformers.ts --python PATH [--model DIR]      DIR: an exported model, e.g. of `potluck export RUN DIR`
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { exportModel, importModel } from '../src/model/checkpoint-folder.ts';
import { type LlamaConfigInput, LlamaConfigSchema, parameterSpecs, type Weights } from '../src/model/config.ts';
import { logitsGraph } from '../src/model/testing/graphs.ts';
import { type DecodedArray, decodeSafetensors } from '../src/model/testing/safetensors-file.ts';
import { byteTokenizer } from '../src/model/tokenizer.ts';
import { seededRandom } from '../src/protocol/random.ts';
import { createNativeRuntime } from '../src/tensor/native-runtime.ts';
import type { Runtime } from '../src/tensor/runtime.ts';

const SCRIPT = fileURLToPath(new URL('./transformers-check.py', import.meta.url));
const PYTHON_DEADLINE_MS = 180_000; // importing torch takes a minute where the disk is cold
const BATCH = 2;
const LONGEST_SEQUENCE = 48;

const TEXTS = [
  'Potluck trains models on devices people already own.',
  '  two  spaces\n\ttab\r\n',
  'naïve café 😀 日本 \u0000\u00ad',
  '<|endoftext|>between<|endoftext|><|endoftext|>',
  "it's 2026: a\u00a0b",
];

/** What was compared; the differences are of logits. */
export interface Comparison {
  readonly name: string;
  /** The largest |difference| of all logits. */
  readonly max_difference: number;
  /** The largest |logit|, to judge the difference by. */
  readonly max_logit: number;
  readonly same_ids: boolean;
  readonly versions: string;
}

interface PythonReply {
  readonly ids: number[][];
  readonly texts: string[];
  readonly bos_id: number | null;
  readonly eos_id: number | null;
  readonly model_class: string;
  readonly tokenizer_class: string;
  readonly transformers: string;
  readonly torch: string;
}

/** One folder to compare; `kind` where Python is to write it first. */
interface Folder {
  readonly name: string;
  readonly dir: string;
  readonly kind?: string;
}

/** Python does all folders in one process: importing torch takes longer than everything else. */
function runPython(python: string, request: string): PythonReply[] {
  const { status, stdout, stderr, error } = spawnSync(python, [SCRIPT, request], {
    encoding: 'utf8',
    timeout: PYTHON_DEADLINE_MS,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${python} ended with ${status}:\n${stderr}`);
  return JSON.parse(stdout);
}

async function compareLogits(dir: string, tokens: readonly number[][], theirs: DecodedArray, runtime: Runtime) {
  const { config, weights } = await importModel(dir);
  const [batch, context] = [tokens.length, tokens[0].length];
  const program = await runtime.load(logitsGraph(config, { batch, context }));
  await program.writeState(weights);
  const data = Int32Array.from(tokens.flat());
  const { logits } = await program.run({ tokens: { dtype: 'int32', shape: [batch, context], data } });
  await program.close();
  if (logits.shape.join() !== theirs.shape.join()) throw new Error(`shapes differ: ${logits.shape}, ${theirs.shape}`);
  let max_difference = 0;
  let max_logit = 0;
  for (let i = 0; i < theirs.data.length; i++) {
    const difference = Math.abs(logits.data[i] - theirs.data[i]);
    if (!(difference <= max_difference)) max_difference = difference; // NaN is the largest
    max_logit = Math.max(max_logit, Math.abs(theirs.data[i]));
  }
  return { max_difference, max_logit };
}

async function sameIds(dir: string, reply: PythonReply): Promise<boolean> {
  const { tokenizer } = await importModel(dir);
  return (
    tokenizer !== null &&
    tokenizer.bos_id === reply.bos_id &&
    tokenizer.eos_id === reply.eos_id &&
    TEXTS.every((text, i) => [...tokenizer.encode(text)].join() === reply.ids[i].join()) &&
    reply.texts.every((text, i) => tokenizer.decode(reply.ids[i]) === text)
  );
}

/** Loads folders on both sides and compares logits of the same tokens and ids of the same texts. */
async function compareFolders(
  folders: readonly Folder[],
  { scratch, tokenizer, python }: { scratch: string; tokenizer: string; python: string },
): Promise<Comparison[]> {
  const requests = await Promise.all(
    folders.map(async ({ name, dir, kind }, i) => {
      const { vocab_size, max_position_embeddings } = kind ? BASE : (await importModel(dir)).config;
      const context = Math.min(LONGEST_SEQUENCE, max_position_embeddings);
      const random = seededRandom('transformers check', name);
      const row = () => Array.from({ length: context }, () => random.below(vocab_size));
      return { dir, tokens: Array.from({ length: BATCH }, row), texts: TEXTS, out: join(scratch, `${i}.safetensors`) };
    }),
  );
  const request = join(scratch, 'request.json');
  const write = folders.flatMap(({ kind, dir }) => (kind ? [{ kind, dir, tokenizer }] : []));
  await writeFile(request, JSON.stringify({ write, read: requests }));
  const replies = runPython(python, request);
  const runtime = await createNativeRuntime({ threads: 1 });
  try {
    const comparisons: Comparison[] = [];
    for (const [i, { name, dir }] of folders.entries()) {
      const reply = replies[i];
      const theirs = decodeSafetensors(await readFile(requests[i].out)).get('logits')!;
      const difference = await compareLogits(dir, requests[i].tokens, theirs, runtime);
      const versions = `transformers ${reply.transformers}, torch ${reply.torch}, ${reply.model_class}, ${reply.tokenizer_class}`;
      comparisons.push({ name, ...difference, same_ids: await sameIds(dir, reply), versions });
    }
    return comparisons;
  } finally {
    await runtime.close();
  }
}

/** What the models that are made here have in common; transformers-check.py has the same. */
const BASE = { vocab_size: 257, max_position_embeddings: 64 };
const OURS: Readonly<Record<string, Partial<LlamaConfigInput>>> = {
  'grouped queries, own head': { num_key_value_heads: 2 },
  'grouped queries, tied head': { num_key_value_heads: 2, tie_word_embeddings: true },
  'every head its own keys, rope_theta 500000': { rope_theta: 500_000, rms_norm_eps: 1e-5 },
  'rows without a token': { vocab_size: 320 },
  'biases and llama3 scaling': {
    ...{ attention_bias: true, mlp_bias: true },
    rope_scaling: {
      ...{ rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
      original_max_position_embeddings: 32,
    },
  },
  'mistral, a window, linear scaling': {
    ...{ model_type: 'mistral', num_key_value_heads: 2, sliding_window: 7 },
    rope_scaling: { rope_type: 'linear', factor: 4 },
  },
  qwen2: { model_type: 'qwen2', num_key_value_heads: 2, tie_word_embeddings: true },
};
const THEIRS = [
  ...['grouped', 'tied', 'wide heads, rope_theta 500000', 'several files', 'bfloat16'],
  ...['padded', 'biases', 'llama3 scaling', 'mistral', 'qwen2'],
];

/** Weights far from zero, so that logits and their differences are of the size of a trained model's. */
function randomWeights(config: ReturnType<typeof LlamaConfigSchema.parse>): Weights {
  return new Map(
    parameterSpecs(config).map(({ name, shape, decay }) => {
      const random = seededRandom('transformers weights', name);
      const length = shape.reduce((a, b) => a * b, 1);
      const value = () => (random.uint32() / 2 ** 31 - 1) * 0.35 + (decay ? 0 : 1);
      return [name, Float32Array.from({ length }, value)];
    }),
  );
}

/** The agreement that the README promises. */
export const LARGEST_DIFFERENCE = 1e-4;

async function inScratch<T>(work: (scratch: string) => Promise<T>): Promise<T> {
  const scratch = await mkdtemp(join(tmpdir(), 'potluck-transformers-'));
  try {
    return await work(scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Every comparison in both directions: folders that Potluck writes, then folders that transformers writes. */
export function compareAll(python: string): Promise<Comparison[]> {
  return inScratch(async (scratch) => {
    const ours: Folder[] = [];
    for (const [name, change] of Object.entries(OURS)) {
      const shape = { hidden_size: 64, intermediate_size: 176, num_hidden_layers: 3, num_attention_heads: 4 };
      const config = LlamaConfigSchema.parse({ ...BASE, ...shape, ...change });
      const dir = join(scratch, `ours ${ours.length}`);
      await exportModel(dir, { config, weights: randomWeights(config), tokenizer: byteTokenizer() });
      ours.push({ name: `Potluck writes: ${name}`, dir });
    }
    const theirs = THEIRS.map((kind) => ({
      name: `transformers writes: ${kind}`,
      kind,
      dir: join(scratch, `theirs ${kind}`),
    }));
    const comparisons = await compareFolders([...ours, ...theirs], { scratch, tokenizer: ours[0].dir, python });
    const index = join(scratch, 'theirs several files', 'model.safetensors.index.json');
    if (!existsSync(index)) throw new Error('transformers wrote one file where several were to be tested');
    return comparisons;
  });
}

/** One exported model. */
export function compareModel(dir: string, python: string): Promise<Comparison[]> {
  return inScratch((scratch) => compareFolders([{ name: dir, dir }], { scratch, tokenizer: dir, python }));
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { python: { type: 'string' }, model: { type: 'string' } } });
  const python = values.python ?? process.env.POTLUCK_PYTHON;
  if (!python) {
    console.error('Skipped: name a Python that has torch and transformers with --python PATH or POTLUCK_PYTHON.');
    return;
  }
  const comparisons = await (values.model ? compareModel(values.model, python) : compareAll(python));
  for (const comparison of comparisons) {
    const { name, max_difference, max_logit, same_ids } = comparison;
    const ids = same_ids ? 'same ids' : 'OTHER IDS';
    console.log(
      `${name}: largest difference ${max_difference.toExponential(1)} (logits to ${max_logit.toFixed(1)}), ${ids}`,
    );
    if (!(max_difference <= LARGEST_DIFFERENCE && same_ids)) process.exitCode = 1;
  }
  console.log(comparisons[0].versions);
}

if (import.meta.main) await main();
