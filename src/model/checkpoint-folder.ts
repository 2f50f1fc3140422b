// A model as the folder that Hugging Face transformers reads and writes: config.json, model.safetensors, tokenizer.json.
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { firstIssue } from '../errors.ts';
import { encodeModel, exactWeights } from './checkpoint.ts';
import { type LlamaConfig, LlamaConfigSchema, type Weights } from './config.ts';
import { ModelError } from './errors.ts';
import { type DecodedArray, decodeSafetensors } from './safetensors.ts';
import { type Tokenizer, type TokenizerConfig, tokenizerFromJson } from './tokenizer.ts';

/** config.json and its like are a few kilobytes; an index of a large model has some hundred. */
const LIMIT_JSON_BYTES = 128 * 2 ** 20;
/** What Buffer can hold in one piece is less; beyond this a model belongs into several files. */
const LIMIT_WEIGHT_FILE_BYTES = 16 * 2 ** 30;

/** A model with everything that is needed to use it. `tokenizer` is null when the folder has none. */
export interface StoredModel {
  readonly config: LlamaConfig;
  readonly weights: Weights;
  readonly tokenizer: Tokenizer | null;
}

/** Writes a file so that readers see the old one or the new one, never a part, also after a power cut. */
async function writeAtomically(path: string, contents: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(contents);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** config.json as transformers 4 and 5 read it: `torch_dtype` and `rope_theta` for 4, `dtype` and `rope_parameters` for 5. */
function configJson(config: LlamaConfig, bos_id: number | null, eos_id: number | null): object {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    ...config,
    rope_parameters: { rope_theta: config.rope_theta, rope_type: 'default' },
    bos_token_id: bos_id,
    eos_token_id: eos_id,
    dtype: 'float32',
    torch_dtype: 'float32',
    use_cache: true,
  };
}

function tokenizerConfigJson(tokenizer: Tokenizer, model_max_length: number): object {
  const token = (id: number | null) => (id === null ? null : tokenizer.decode([id]));
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: token(tokenizer.bos_id),
    eos_token: token(tokenizer.eos_id),
    model_max_length,
    clean_up_tokenization_spaces: false,
  };
}

/**
 * Writes a model as `transformers` loads it with AutoModelForCausalLM and AutoTokenizer: config.json, generation_config.json,
 * model.safetensors (the canonical blob), tokenizer.json and tokenizer_config.json. Each file appears whole or not at all.
 * Returns the paths. Throws ModelError `wrong-weights`, or `bad-tokenizer` when its ids exceed the model's vocabulary.
 */
export async function exportModel(
  dir: string,
  { config, weights, tokenizer }: { config: LlamaConfig; weights: Weights; tokenizer: Tokenizer },
): Promise<string[]> {
  if (tokenizer.vocab_size > config.vocab_size) {
    const fact = `the tokenizer has ${tokenizer.vocab_size} ids, the model only ${config.vocab_size}`;
    throw new ModelError('bad-tokenizer', fact);
  }
  const { bos_id, eos_id } = tokenizer;
  const json = (value: object) => `${JSON.stringify(value, null, 2)}\n`;
  const files: [string, Uint8Array | string][] = [
    ['model.safetensors', encodeModel(config, weights)],
    ['tokenizer.json', tokenizer.json],
    ['tokenizer_config.json', json(tokenizerConfigJson(tokenizer, config.max_position_embeddings))],
    ['generation_config.json', json({ bos_token_id: bos_id, eos_token_id: eos_id })],
    ['config.json', json(configJson(config, bos_id, eos_id))],
  ];
  await mkdir(dir, { recursive: true });
  for (const [name, contents] of files) await writeAtomically(join(dir, name), contents);
  return files.map(([name]) => join(dir, name));
}

async function readLimited(path: string, limit_bytes: number): Promise<Uint8Array | null> {
  try {
    const { size } = await stat(path);
    if (size > limit_bytes) {
      throw new ModelError('too-large', `${basename(path)}: ${size} bytes, at most ${limit_bytes} are read`);
    }
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function readJson(path: string): Promise<unknown> {
  const bytes = await readLimited(path, LIMIT_JSON_BYTES);
  if (bytes === null) return null;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new ModelError('corrupt-file', `${basename(path)}: not JSON`, { path });
  }
}

const RopeSchema = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().optional(),
});
const StoredConfigSchema = z.looseObject({
  model_type: z.string(),
  rope_theta: z.number().nullish(),
  rope_scaling: RopeSchema.nullish(),
  rope_parameters: RopeSchema.nullish(),
  quantization_config: z.unknown().optional(),
});

/**
 * The configuration in a config.json, whichever version of transformers wrote it.
 * Throws ModelError `unsupported` for what Potluck does not compute, `bad-config` for what is no Llama configuration.
 */
export function configFromJson(value: unknown): LlamaConfig {
  const stored = StoredConfigSchema.safeParse(value);
  if (!stored.success) throw new ModelError('bad-config', `config.json: ${firstIssue(stored.error)}`);
  const { model_type, rope_theta, rope_scaling, rope_parameters, quantization_config, ...rest } = stored.data;
  if (model_type !== 'llama') {
    throw new ModelError('unsupported', `config.json: model_type "${model_type}", expected "llama"`, { model_type });
  }
  if (quantization_config) throw new ModelError('unsupported', 'config.json: quantised weights are not read');
  for (const key of ['attention_bias', 'mlp_bias']) {
    if (rest[key] === true) throw new ModelError('unsupported', `config.json: ${key} is not computed`);
  }
  for (const rope of [rope_scaling, rope_parameters]) {
    const type = rope?.rope_type ?? rope?.type ?? 'default';
    if (type !== 'default') throw new ModelError('unsupported', `config.json: rope scaling "${type}" is not computed`);
  }
  // Old files write null for "the default".
  const values = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null));
  const theta = rope_parameters?.rope_theta ?? rope_scaling?.rope_theta ?? rope_theta ?? undefined;
  const config = LlamaConfigSchema.safeParse({ ...values, rope_theta: theta });
  if (!config.success) throw new ModelError('bad-config', `config.json: ${firstIssue(config.error)}`);
  return config.data;
}

const IndexSchema = z.object({ weight_map: z.record(z.string(), z.string().regex(/^[\w.-]+\.safetensors$/)) });

async function readWeightFile(dir: string, name: string): Promise<Map<string, DecodedArray>> {
  const bytes = await readLimited(join(dir, name), LIMIT_WEIGHT_FILE_BYTES);
  if (bytes === null) throw new ModelError('missing-file', `${name} is missing`, { name });
  return decodeSafetensors(bytes);
}

async function readArrays(dir: string): Promise<Map<string, DecodedArray>> {
  const index = await readJson(join(dir, 'model.safetensors.index.json'));
  if (index === null) return readWeightFile(dir, 'model.safetensors');
  const parsed = IndexSchema.safeParse(index);
  if (!parsed.success) {
    throw new ModelError('corrupt-file', `model.safetensors.index.json: ${firstIssue(parsed.error)}`);
  }
  const { weight_map } = parsed.data;
  const arrays = new Map<string, DecodedArray>();
  for (const file of [...new Set(Object.values(weight_map))].sort()) {
    for (const [name, array] of await readWeightFile(dir, file)) {
      if (weight_map[name] === file) arrays.set(name, array);
    }
  }
  return arrays;
}

/**
 * Reads a Llama model that transformers (or `exportModel`) has saved: one or several safetensors files in F32, F16 or BF16,
 * tied heads, config.json of transformers 4 or 5, the tokenizer when there is one.
 * Throws ModelError: `missing-file`, `corrupt-file`, `too-large`, `bad-config`, `unsupported`, `wrong-weights`, `bad-tokenizer`.
 */
export async function importModel(dir: string): Promise<StoredModel> {
  if (!(await stat(dir).catch(() => null))?.isDirectory()) {
    throw new ModelError('missing-file', `no folder of a model at ${dir}`, { name: dir });
  }
  try {
    return await readModel(dir);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(error.code, `${dir}: ${error.message}`, error.details);
  }
}

/** As importModel; errors name the file, but not its folder. */
async function readModel(dir: string): Promise<StoredModel> {
  const stored = await readJson(join(dir, 'config.json'));
  if (stored === null) throw new ModelError('missing-file', 'config.json is missing', { name: 'config.json' });
  const config = configFromJson(stored);
  const arrays = await readArrays(dir);
  for (const name of arrays.keys()) {
    // Older versions stored the table of RoPE's frequencies, which follows from the configuration.
    if (name.endsWith('.rotary_emb.inv_freq')) arrays.delete(name);
    if (name.endsWith('.bias')) throw new ModelError('unsupported', `"${name}": biases are not computed`, { name });
  }
  // A tied head may have been written out; transformers ignores it in favour of the embedding, and so do we.
  if (config.tie_word_embeddings) arrays.delete('lm_head.weight');
  const weights = exactWeights(config, arrays);
  const json = await readLimited(join(dir, 'tokenizer.json'), LIMIT_JSON_BYTES);
  if (json === null) return { config, weights, tokenizer: null };
  const tokenizer_config = (await readJson(join(dir, 'tokenizer_config.json'))) as TokenizerConfig | null;
  const tokenizer = tokenizerFromJson(new TextDecoder().decode(json), tokenizer_config ?? undefined);
  return { config, weights, tokenizer };
}
