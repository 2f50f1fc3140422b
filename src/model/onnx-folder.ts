// A model as a folder that transformers.js reads: onnx/model.onnx, onnx/model_quantized.onnx, and the small files beside them.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from '../protocol/whole-file.ts';
import { encodeOnnxFiles } from '../tensor/onnx-file.ts';
import type { LlamaConfig, Weights } from './config.ts';
import { folderTexts } from './folder-texts.ts';
import { type OnnxWeights, onnxGraph } from './onnx-graph.ts';
import type { Tokenizer } from './tokenizer.ts';

/** The names that transformers.js gives dtypes `fp32` and `q8`; in a browser without a GPU it asks for the second by itself. */
const FILES: readonly (readonly [name: string, stored: OnnxWeights])[] = [
  ['model.onnx', 'f32'],
  ['model_quantized.onnx', 'q8'],
];

/**
 * Writes a model in float32 and in 8 bits, with tokenizer.json, tokenizer_config.json, generation_config.json and config.json. Weights
 * of more than `limit_bytes` (2 GB by default) lie in files of their own. Each file appears whole or not at all, config.json last.
 * Returns the paths. Throws ModelError `wrong-weights`, `bad-tokenizer`; TensorError `too-large` for a single tensor of more than the limit.
 */
export async function exportOnnx(
  dir: string,
  model: { readonly config: LlamaConfig; readonly weights: Weights; readonly tokenizer: Tokenizer },
  limit_bytes?: number,
): Promise<string[]> {
  const { config, weights, tokenizer } = model;
  const paths: string[] = [];
  const outside: Record<string, number> = {};
  await mkdir(join(dir, 'onnx'), { recursive: true });
  const write = async (path: string, pieces: string | Iterable<Uint8Array>): Promise<void> => {
    await writeWhole(path, pieces, { durable: true });
    paths.push(path);
  };
  for (const [name, stored] of FILES) {
    const files = encodeOnnxFiles(onnxGraph(config, weights, stored), name, limit_bytes);
    for (const file of files.toReversed()) await write(join(dir, 'onnx', file.name), file.pieces);
    if (files.length > 1) outside[name] = files.length - 1;
  }
  for (const [name, contents] of onnxTexts(config, tokenizer, outside)) await write(join(dir, name), contents);
  return paths;
}

/**
 * The small files of a model's folder with what transformers.js needs beyond them: every text begins with the beginning-of-text token, as
 * Potluck's own generation begins it; texts of several lengths can be padded; and how many files hold the weights outside the model's.
 */
function onnxTexts(
  config: LlamaConfig,
  tokenizer: Tokenizer,
  outside: Readonly<Record<string, number>>,
): [name: string, contents: string][] {
  const { bos_id, eos_id } = tokenizer;
  const begins = bos_id !== null;
  const pads = eos_id !== null;
  const additions: Readonly<Record<string, (json: Record<string, unknown>) => object>> = {
    'tokenizer.json': (json) => (begins && json.post_processor === null ? withBeginning(json, tokenizer) : json),
    'tokenizer_config.json': (json) => ({
      ...json,
      ...(begins && { add_bos_token: true }),
      ...(pads && { pad_token: json.eos_token, padding_side: 'left' }),
    }),
    'generation_config.json': (json) => ({ ...json, ...(pads && { pad_token_id: eos_id }) }),
    'config.json': (json) => ({
      ...json,
      ...(Object.keys(outside).length > 0 && { 'transformers.js_config': { use_external_data_format: outside } }),
    }),
  };
  return folderTexts(config, tokenizer).map(([name, contents]) => {
    const json: Record<string, unknown> = JSON.parse(contents);
    return [name, `${JSON.stringify(additions[name](json), null, 2)}\n`];
  });
}

/** tokenizer.json with a post-processor that puts the beginning-of-text token before every text. */
function withBeginning(json: Record<string, unknown>, tokenizer: Tokenizer): object {
  const id = tokenizer.bos_id!;
  const token = tokenizer.tokenOf?.(id) ?? tokenizer.decode([id]);
  const special = { SpecialToken: { id: token, type_id: 0 } };
  const sequence = (of: 'A' | 'B', type_id: number) => ({ Sequence: { id: of, type_id } });
  return {
    ...json,
    post_processor: {
      type: 'TemplateProcessing',
      single: [special, sequence('A', 0)],
      pair: [special, sequence('A', 0), sequence('B', 1)],
      special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
    },
  };
}
