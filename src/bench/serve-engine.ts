// One engine of `bench serve` in a process of its own: loads a model of random weights, and does what it is told with one thread.
import { z } from 'zod';
import { type LlamaConfig, LlamaConfigSchema, parameterSpecs, type Weights } from '../model/config.ts';
import { openDecodePool } from '../model/decode-pool.ts';
import { ggufFile } from '../model/gguf.ts';
import type { WrittenType } from '../model/gguf-types.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import { loadLlama } from '../serving/llama-package.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';

/** m100: 100.1M parameters. tiny: 1.3M, where each step is mostly overhead. */
const SIZES: Readonly<Record<string, object>> = {
  m100: {
    ...{ vocab_size: 32_000, hidden_size: 768, intermediate_size: 2048, num_hidden_layers: 12 },
    ...{ num_attention_heads: 12, num_key_value_heads: 4, tie_word_embeddings: true },
  },
  tiny: {
    ...{ vocab_size: 257, hidden_size: 128, intermediate_size: 352, num_hidden_layers: 6 },
    ...{ num_attention_heads: 4, num_key_value_heads: 4, tie_word_embeddings: true },
  },
};
const CONTEXT = 1024;
/** Tokens before the steps, and of a prompt. */
export const PROMPT_TOKENS = 128;
export const TOGETHER = 4;

const Settings = z.object({
  engine: z.enum(['own', 'own-wasm', 'llama']),
  size: z.string(),
  stored: z.enum(['f32', 'q8_0', 'q4_0']),
  gguf: z.string(),
});
export type EngineSettings = z.infer<typeof Settings>;

/** `tokens` single tokens of one sequence or of TOGETHER at once, or one prompt. */
const Command = z.object({ what: z.enum(['step', 'together', 'prompt']), tokens: z.int().min(1) });
export type EngineCommand = z.infer<typeof Command>;

/** Appends each sequence's tokens, all sequences in one call. */
type Append = (tokens: readonly (readonly number[])[]) => Promise<void>;

interface Loaded {
  append: Append;
  /** Leaves the first `length` tokens of the first sequence, or of every one. */
  rewind(length: number, which: 'first' | 'all'): void;
}

export function configOfSize(size: string): LlamaConfig {
  return LlamaConfigSchema.parse({ ...SIZES[size], max_position_embeddings: CONTEXT });
}

/** All in one buffer, which is freed as a whole: what an engine holds is measured, not what made its weights. */
function randomWeights(config: LlamaConfig): { weights: Weights; buffer: ArrayBuffer } {
  const specs = parameterSpecs(config).map(({ name, shape, decay }) => ({
    ...{ name, decay },
    length: shape.reduce((a, b) => a * b, 1),
  }));
  const buffer = new ArrayBuffer(specs.reduce((sum, { length }) => sum + 4 * length, 0));
  let at = 0;
  let state = 12_345;
  const weights = new Map(
    specs.map(({ name, decay, length }) => {
      const values = new Float32Array(buffer, at, length);
      at += 4 * length;
      for (let i = 0; i < length; i++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
        values[i] = decay ? (state / 2 ** 31) * 0.035 : 1;
      }
      return [name, values] as const;
    }),
  );
  return { weights, buffer };
}

/** Writes the model for llama.cpp. */
export async function writeModel(path: string, size: string, type: WrittenType): Promise<void> {
  const config = configOfSize(size);
  const { weights } = randomWeights(config);
  const about = { config, tokenizer: byteTokenizer(), type, name: 'bench', licence: null };
  await writeWhole(path, ggufFile(about, weights.values()));
}

async function loadOwn({ engine, size, stored }: EngineSettings): Promise<Loaded> {
  const config = configOfSize(size);
  const runtime = await (engine === 'own' ? createNativeRuntime : createWasmRuntime)({ threads: 1 });
  const { weights, buffer } = randomWeights(config);
  const pool = await openDecodePool(runtime, { config, weights }, stored);
  buffer.transfer(0);
  const sequences = Array.from({ length: TOGETHER }, () => pool.open(CONTEXT));
  return {
    async append(tokens) {
      await Promise.all(tokens.map((ids, i) => sequences[i].append(ids, 'last')));
    },
    rewind: (length, which) => {
      for (const sequence of which === 'first' ? sequences.slice(0, 1) : sequences)
        sequence.rewind(Math.min(length, sequence.length));
    },
  };
}

/** llama.cpp alone: its logits stay where it computes them, because handing them over costs its binding 8 ms a token. */
async function loadAlone({ size, gguf }: EngineSettings): Promise<Loaded> {
  const { llama } = await loadLlama();
  const model = new llama.AddonModel(gguf, { addonExports: llama, gpuLayers: 0, useMmap: true, checkTensors: false });
  if (!(await model.init())) throw new Error(`llama.cpp does not take the model ${size}`);
  const context = new llama.AddonContext(model, {
    ...{ contextSize: TOGETHER * CONTEXT, batchSize: PROMPT_TOKENS, sequences: TOGETHER, threads: 1 },
    ...{ flashAttention: false, swaFullCache: true, kvCacheKeyType: 1, kvCacheValueType: 1 },
  });
  await context.init();
  const lengths = Array<number>(TOGETHER).fill(0);
  return {
    async append(tokens) {
      context.initBatch(tokens.flat().length);
      for (const [i, ids] of tokens.entries()) {
        context.addToBatch(i, lengths[i], Uint32Array.from(ids), Uint32Array.of(ids.length - 1));
        lengths[i] += ids.length;
      }
      await context.decodeBatch();
    },
    rewind: (length, which) => {
      for (const [i, held] of lengths.entries()) {
        if (held <= length || (which === 'first' && i > 0)) continue;
        context.removeTokenCellsFromSequence(i, length, -1);
        lengths[i] = length;
      }
    },
  };
}

async function obey({ append, rewind }: Loaded, { what, tokens }: EngineCommand, vocab_size: number): Promise<number> {
  const ids = (count: number, from: number) => Array.from({ length: count }, (_, i) => (37 * i + from) % vocab_size);
  rewind(PROMPT_TOKENS, 'all');
  if (what === 'prompt') rewind(0, 'first'); // which is as long as the others when it has read it
  const before = process.cpuUsage();
  if (what === 'prompt') await append([ids(PROMPT_TOKENS, 1)]);
  else {
    const count = what === 'together' ? TOGETHER : 1;
    for (let i = 0; i < tokens; i++) await append(Array.from({ length: count }, (_, n) => [(i * 7 + n) % vocab_size]));
  }
  const { user, system } = process.cpuUsage(before);
  const computed = what === 'prompt' ? 1 : what === 'together' ? TOGETHER * tokens : tokens;
  return (user + system) / 1000 / computed;
}

async function main(settings: EngineSettings): Promise<void> {
  const idle_bytes = process.memoryUsage.rss();
  const loaded = await (settings.engine === 'llama' ? loadAlone(settings) : loadOwn(settings));
  const { vocab_size } = configOfSize(settings.size);
  const prompt = Array.from({ length: PROMPT_TOKENS }, (_, i) => i % vocab_size);
  // A batch of llama.cpp holds one prompt, so each sequence reads a quarter of its prompt at a time.
  await loaded.append(Array.from({ length: TOGETHER }, () => prompt.slice(0, PROMPT_TOKENS / TOGETHER)));
  for (let i = 1; i < TOGETHER; i++) {
    const part = prompt.slice((i * PROMPT_TOKENS) / TOGETHER, ((i + 1) * PROMPT_TOKENS) / TOGETHER);
    await loaded.append(Array.from({ length: TOGETHER }, () => part));
  }
  process.send!({ idle_bytes });
  process.on('message', async (message) => {
    const cpu_ms = await obey(loaded, Command.parse(message), vocab_size);
    process.send!({ cpu_ms, bytes: process.memoryUsage.rss() });
  });
}

if (import.meta.main) await main(Settings.parse(JSON.parse(process.argv[2])));
