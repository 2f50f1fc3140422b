// A model as a folder that Hugging Face transformers reads and writes: config.json, model.safetensors, tokenizer.json.
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../protocol/hash.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import { modelFile, modelFileOf, modelTensors } from './checkpoint.ts';
import type { LlamaConfig, Weights } from './config.ts';
import { configFromJson, dtypeFromJson } from './config-json.ts';
import type { RoundedDtype } from './dtypes.ts';
import { ModelError } from './errors.ts';
import { folderTexts } from './folder-texts.ts';
import { writeParts } from './parts.ts';
import { readJson, readText } from './read-json.ts';
import { encodeModelManifest } from './tensor-manifest.ts';
import { type Tokenizer, type TokenizerConfig, tokenizerFromJson } from './tokenizer.ts';
import { readWeights, weightsIn } from './weight-files.ts';

/** A model with everything that is needed to use it. `tokenizer` is null when the folder has none. */
export interface StoredModel {
  readonly config: LlamaConfig;
  readonly weights: Weights;
  readonly tokenizer: Tokenizer | null;
}

/**
 * Writes a model as `transformers` loads it with AutoModelForCausalLM and AutoTokenizer: config.json, generation_config.json,
 * model.safetensors, tokenizer.json and tokenizer_config.json. Each file appears whole or not at all.
 * `weights`: all of them, or one after the other in the order of `parameterSpecs`, of which memory then holds one.
 * Returns the paths. Throws ModelError `wrong-weights` (also for weights that `dtype` cannot hold), or `bad-tokenizer` when its ids exceed the model's vocabulary.
 */
export async function exportModel(
  dir: string,
  model: {
    readonly config: LlamaConfig;
    readonly weights: Weights | AsyncIterable<Float32Array>;
    readonly tokenizer: Tokenizer;
    readonly dtype?: RoundedDtype;
  },
): Promise<string[]> {
  const { config, weights, tokenizer, dtype } = model;
  const texts = folderTexts(config, tokenizer, dtype);
  const file =
    Symbol.asyncIterator in weights ? modelFileOf(config, weights, dtype) : modelFile(config, weights, dtype);
  const files: [string, string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>][] = [
    ['model.safetensors', file],
    ...texts,
  ];
  await mkdir(dir, { recursive: true });
  for (const [name, pieces] of files) await writeWhole(join(dir, name), pieces, { durable: true });
  return files.map(([name]) => join(dir, name));
}

/**
 * Reads a model of the Llama family that transformers (or `exportModel`) has saved: one or several safetensors files in F32,
 * F16 or BF16, tied heads, config.json of transformers 4 or 5, and the tokenizer if there is one.
 * Weights of more than `limit_bytes` in float32 are refused before any is read.
 * Throws ModelError: `missing-file`, `corrupt-file`, `too-large`, `bad-config`, `unsupported`, `wrong-weights`, `bad-tokenizer`.
 */
export async function importModel(dir: string, limit_bytes?: number): Promise<StoredModel> {
  if (!(await stat(dir).catch(() => null))?.isDirectory()) {
    throw new ModelError('missing-file', `no folder of a model at ${dir}`, { name: dir });
  }
  try {
    return await readModel(dir, limit_bytes);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(error.code, `${dir}: ${error.message}`, error.details);
  }
}

/**
 * The network's name for the model in a folder, in the dtype that its config.json states, whatever its files have. Throws ModelError as
 * importModel does.
 */
export async function nameOfFolder(dir: string): Promise<string> {
  const stored = await readConfig(dir);
  const config = configFromJson(stored);
  const tensors = modelTensors(config, dtypeFromJson(stored));
  const hashOf = async (bytes: Uint8Array): Promise<string> => sha256Hex(bytes);
  return hashOf(encodeModelManifest(await writeParts(tensors, weightsIn(dir, config), hashOf)));
}

async function readConfig(dir: string): Promise<unknown> {
  const stored = await readJson(join(dir, 'config.json'));
  if (stored === null) throw new ModelError('missing-file', 'config.json is missing', { name: 'config.json' });
  return stored;
}

/** As importModel, except that errors name the file but not its folder. */
async function readModel(dir: string, limit_bytes?: number): Promise<StoredModel> {
  const config = configFromJson(await readConfig(dir));
  const weights = await readWeights(dir, config, limit_bytes);
  const json = await readText(join(dir, 'tokenizer.json'));
  if (json === null) return { config, weights, tokenizer: null };
  const tokenizer_config = (await readJson(join(dir, 'tokenizer_config.json'))) as TokenizerConfig | null;
  const tokenizer = tokenizerFromJson(json, tokenizer_config ?? undefined);
  return { config, weights, tokenizer };
}
