// Compares Potluck's greedy texts with those of transformers.js on the ONNX files that Potluck writes.
//   node test/transformers-js.ts --package FOLDER [--model DIR]
// FOLDER: where `npm install @huggingface/transformers@4.3.2` has run. DIR: an exported model of `potluck export RUN DIR --format onnx`.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { exportModel, importModel, type StoredModel } from '../src/model/checkpoint-folder.ts';
import { LlamaConfigSchema } from '../src/model/config.ts';
import { generate } from '../src/model/generate.ts';
import { initialWeights } from '../src/model/init.ts';
import { exportOnnx } from '../src/model/onnx-folder.ts';
import { byteTokenizer } from '../src/model/tokenizer.ts';
import { seededRandom } from '../src/protocol/random.ts';
import { createNativeRuntime } from '../src/tensor/native-runtime.ts';
import type { Runtime } from '../src/tensor/runtime.ts';
import { batchFrom } from '../src/training/assignment.ts';
import { createTrainer } from '../src/training/trainer.ts';
import type { JsReply } from './transformers-js-child.ts';

const CHILD = fileURLToPath(new URL('./transformers-js-child.ts', import.meta.url));
const DEADLINE_MS = 300_000;
const MAX_TOKENS = 48;
const PROMPTS = [
  'The hub',
  'A device that',
  'No peer is ever waited for',
  'x',
  'Work that was',
  'Tokens, and then some more of them: ',
  'naïve café 😀',
  'An event is',
];
const DTYPES = ['fp32', 'q8'] as const;

/** How many of the prompts got the same text. */
export interface JsComparison {
  readonly dtype: (typeof DTYPES)[number];
  readonly prompts: number;
  readonly same_texts: number;
  /** In batches of two with padding. */
  readonly same_batched: number;
  readonly version: string;
}

/** A few seconds of training on a text that a small model can learn, so that its greedy text is text. */
async function trainedModel(
  runtime: Runtime,
): Promise<StoredModel & { tokenizer: NonNullable<StoredModel['tokenizer']> }> {
  const tokenizer = byteTokenizer();
  const config = LlamaConfigSchema.parse({
    ...{ vocab_size: tokenizer.vocab_size, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2 },
    ...{ num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 128 },
  });
  const words =
    'The hub is a meeting place, not an authority. A device that leaves costs only its own work. No peer is waited for. ';
  const tokens = Uint16Array.from(tokenizer.encode(words.repeat(20)));
  const shape = { batch: 8, context: 48 };
  const adamw = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, clip: 1 };
  const trainer = await createTrainer(runtime, config, { ...shape, adamw });
  await trainer.setWeights(initialWeights(config, 'transformers.js'));
  const random = seededRandom('transformers.js', 'windows');
  for (let step = 0; step < 120; step++) {
    const windows = Array.from({ length: shape.batch }, () => ({
      tokens,
      offset: random.below(tokens.length - shape.context - 1),
    }));
    await trainer.step(batchFrom(windows, shape.context), 0.003);
  }
  const weights = await trainer.weights();
  await trainer.close();
  return { config, weights, tokenizer };
}

/** Compares a model; without a folder one that is trained here. `at`: a folder whose node_modules have transformers.js. */
export async function compareTransformersJs(at: string, dir?: string): Promise<JsComparison[]> {
  const scratch = await mkdtemp(join(tmpdir(), 'potluck-transformers-js-'));
  const runtime = await createNativeRuntime({ threads: 1 });
  try {
    const folder = dir ?? join(scratch, 'model');
    if (!dir) {
      const made = await trainedModel(runtime);
      await exportModel(folder, made);
      await exportOnnx(folder, made);
    }
    const { config, weights, tokenizer } = await importModel(folder);
    if (!tokenizer) throw new Error(`${folder} has no tokenizer.json`);
    const ours: string[] = [];
    for (const prompt of PROMPTS) {
      let text = '';
      const options = { prompt, max_tokens: MAX_TOKENS, temperature: 0 };
      for await (const piece of generate(runtime, { config, weights, tokenizer }, options)) text += piece;
      ours.push(text);
    }
    const comparisons: JsComparison[] = [];
    for (const dtype of DTYPES) {
      const args = [CHILD, at, folder, dtype, JSON.stringify(PROMPTS), String(MAX_TOKENS)];
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: DEADLINE_MS });
      const reply: JsReply = JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
      const same = (texts: readonly string[]) => texts.filter((text, i) => text === ours[i]).length;
      comparisons.push({
        dtype,
        prompts: PROMPTS.length,
        same_texts: same(reply.texts),
        same_batched: same(reply.batched),
        version: reply.version,
      });
    }
    return comparisons;
  } finally {
    await runtime.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { package: { type: 'string' }, model: { type: 'string' } } });
  const at = values.package ?? process.env.POTLUCK_TRANSFORMERS_JS;
  if (!at) {
    console.error(
      'Skipped: name a folder that has @huggingface/transformers with --package or POTLUCK_TRANSFORMERS_JS.',
    );
    return;
  }
  for (const { dtype, prompts, same_texts, same_batched, version } of await compareTransformersJs(at, values.model)) {
    const batched = `${same_batched} of ${prompts} in padded batches of two`;
    console.log(
      `transformers.js ${version}, ${dtype}: the same greedy text for ${same_texts} of ${prompts} prompts, ${batched}`,
    );
    if (dtype === 'fp32' && Math.min(same_texts, same_batched) < prompts) process.exitCode = 1;
  }
}

if (import.meta.main) await main();
