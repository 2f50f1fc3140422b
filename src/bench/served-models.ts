// Trains the models that benches serve: a small one as `potluck demo` has it, the same at an earlier step, and a smaller one.
import { importModel } from '../model/checkpoint-folder.ts';
import { type LlamaConfig, LlamaConfigSchema, parameterSpecs, type Weights } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer, END_OF_TEXT, type Tokenizer } from '../model/tokenizer.ts';
import { seededRandom } from '../protocol/random.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { readTexts } from '../training/corpus.ts';
import { defaultCorpus } from '../training/corpus-default.ts';
import { learn } from '../training/lessons.ts';
import { learningRate } from '../training/schedule.ts';
import { randomBatch } from '../training/windows.ts';
import { BenchError } from './errors.ts';

/** The demo's model, and one with an eighth of its parameters. */
const SHAPES = {
  model: { hidden_size: 128, intermediate_size: 352, num_hidden_layers: 4, num_attention_heads: 4 },
  smaller: { hidden_size: 64, intermediate_size: 176, num_hidden_layers: 2, num_attention_heads: 4 },
} as const;
const CONTEXT = 256;
const TRAINED_CONTEXT = 64;
const BATCH = 12;
const ADAMW = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, clip: 1 };
const RATES = { warmup_steps: 30, learning_rate: 2e-3, min_learning_rate: 2e-4 };
/** How much of the training an earlier model has. */
const EARLIER = 0.8;

export interface TrainedModel {
  readonly config: LlamaConfig;
  readonly weights: Weights;
}
export interface ServedModels {
  readonly model: TrainedModel;
  /** null: nobody here has it. */
  readonly earlier: TrainedModel | null;
  readonly smaller: TrainedModel | null;
  readonly tokenizer: Tokenizer;
  /** Text that models which were trained here have not seen. */
  readonly held_out: string;
}

const MOST_BYTES = 4_000_000;

/** The text of files, or of the default corpus, up to a few megabytes. */
async function someText(data: string | null): Promise<string> {
  let text = '';
  for await (const document of data === null ? defaultCorpus() : readTexts(data)) {
    text += document + END_OF_TEXT;
    if (text.length > MOST_BYTES) break;
  }
  return text;
}

/** Trains for so many steps. `progress` hears the loss now and then. */
export async function trainModels(
  runtime: Runtime,
  data: string | null,
  steps: number,
  progress: (words: string) => void,
): Promise<ServedModels> {
  const text = await someText(data);
  const border = Math.floor(0.9 * text.length);
  const tokens = Int32Array.from(byteTokenizer().encode(text.slice(0, border), true));
  const train = async (which: keyof typeof SHAPES) => {
    const given = { ...SHAPES[which], vocab_size: 257, max_position_embeddings: CONTEXT };
    const config = LlamaConfigSchema.parse(given);
    const random = seededRandom('served models', which);
    let earlier: Weights = new Map();
    const weights = await learn(runtime, config, {
      ...{ batch: BATCH, context: TRAINED_CONTEXT, adamw: ADAMW, first: initialWeights(config, which), steps },
      batchOf: () => randomBatch(tokens, random, BATCH, TRAINED_CONTEXT),
      rateOf: (step) => learningRate(step, { ...RATES, total_steps: steps }),
      async after(step, loss, trainer) {
        if (step + 1 === Math.floor(EARLIER * steps)) earlier = await trainer.weights();
        if (step % 100 === 0 || step === steps - 1) progress(`${which}: step ${step}, loss ${loss.toFixed(3)}`);
      },
    });
    return { last: { config, weights }, earlier: { config, weights: earlier } };
  };
  const { last: model, earlier } = await train('model');
  const { last: smaller } = await train('smaller');
  const held_out = text.slice(border).replaceAll(END_OF_TEXT, '\n');
  return { model, earlier, smaller, tokenizer: byteTokenizer(), held_out };
}

/** The model of a folder, and the same without its last layer. Throws BenchError `usage`, ModelError as importModel does. */
export async function modelsOfFolder(folder: string, data: string | null): Promise<ServedModels> {
  const { config, weights, tokenizer } = await importModel(folder);
  if (tokenizer?.eos_id == null)
    throw new BenchError('usage', `${folder}: expected a tokenizer with an end token, as potluck export writes it`);
  const less = { ...config, num_hidden_layers: config.num_hidden_layers - 1 };
  const kept = () => new Map(parameterSpecs(less).map(({ name }) => [name, weights.get(name)!] as const));
  const smaller = less.num_hidden_layers > 0 ? { config: less, weights: kept() } : null;
  const held_out = (await someText(data)).replaceAll(END_OF_TEXT, '\n');
  return { model: { config, weights }, earlier: null, smaller, tokenizer, held_out };
}
