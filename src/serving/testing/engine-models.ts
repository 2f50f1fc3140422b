// Small models with weights large enough that their texts differ, for tests of engines.
import {
  type LlamaConfig,
  type LlamaConfigInput,
  LlamaConfigSchema,
  parameterSpecs,
  type Weights,
} from '../../model/config.ts';
import { ggufFile } from '../../model/gguf.ts';
import type { WrittenType } from '../../model/gguf-types.ts';
import { randomWeights } from '../../model/testing/random-weights.ts';
import { byteTokenizer, type Tokenizer } from '../../model/tokenizer.ts';
import { writeWhole } from '../../protocol/whole-file.ts';

export interface TestModel {
  readonly config: LlamaConfig;
  readonly weights: Weights;
  readonly tokenizer: Tokenizer;
}

/** Two layers of bytes, unless `changes` says something else. */
export function testModel(changes: Partial<LlamaConfigInput> = {}, tokenizer: Tokenizer = byteTokenizer()): TestModel {
  const config = LlamaConfigSchema.parse({
    ...{ vocab_size: 257, hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 4 },
    ...{ num_key_value_heads: 2, max_position_embeddings: 160 },
    ...changes,
  });
  return { config, weights: livelyWeights(config), tokenizer };
}

/** With these the next token depends on the whole text; with a trained model's first ones it hardly does. */
const livelyWeights = (config: LlamaConfig): Weights =>
  randomWeights(config, { seed: ['engine test'], spread: (shape) => 3 / Math.sqrt(shape.at(-1)!) });

/** The model as a GGUF file. */
export async function writeGguf(
  path: string,
  { config, weights, tokenizer }: TestModel,
  type: WrittenType = 'f32',
): Promise<string> {
  const inOrder = parameterSpecs(config).map(({ name }) => weights.get(name)!);
  const about = { name: 'a test', licence: 'CC0-1.0' };
  await writeWhole(path, ggufFile({ config, tokenizer, type, ...about }, inOrder));
  return path;
}
