// Prepares a game for a test: settings and a first state; for training and serving also a small model and a little text.

import type { AnyGame } from '../games/game.ts';
import { isGameFile, readGameFile } from '../games/game-file.ts';
import { type GuardLimits, guardGame } from '../games/guard.ts';
import { memoryBlobs } from '../games/memory-blobs.ts';
import { decodeParams } from '../games/params.ts';
import { PipelineParamsSchema, stateTensors } from '../games/pipeline/params.ts';
import { PretrainParamsSchema } from '../games/pretrain/params.ts';
import { loadGame } from '../games/registry.ts';
import { roundedWeights } from '../model/dtypes.ts';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer, type Tokenizer } from '../model/tokenizer.ts';
import { firstTensors } from '../owner/staged-start.ts';
import { utf8 } from '../protocol/hash.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { defaultCorpus } from '../training/corpus-default.ts';
import { buildDataset } from '../training/dataset.ts';
import { encodeManifest } from '../training/shards.ts';
import { SimulationError } from './errors.ts';
import { setUpServe } from './serving-setup.ts';

/** A game with everything that its arena needs. */
export interface GameSetup {
  readonly game: AnyGame;
  readonly params: unknown;
  readonly first: unknown;
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

/** Enough for a model of a few thousand parameters. */
const TEXT_CHARACTERS = 200_000;

/** A model that learns something in a hundred steps of a millisecond, at the rate with which runs are created. */
const SMALL = {
  model: { hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2 },
  batch: 8,
  context: 32,
  inner_steps: 8,
  learning_rate: 1e-3,
  min_learning_rate: 1e-3,
  warmup_steps: 0,
  evaluation_sequences: 64,
};

/**
 * Loads a game by name or from a file, with its settings and its first state. `settings` replaces the game's own defaults.
 * Throws GameError (unknown-game, bad-game-file, bad-params), SimulationError bad-options.
 */
export async function setUpGame(
  word: string,
  settings: unknown,
  limits: Partial<GuardLimits>,
  runtime: Runtime,
): Promise<GameSetup> {
  if (word === 'pretrain') return setUpPretrain(withSome(SMALL, settings ?? {}), someText(), byteTokenizer(), limits);
  if (word === 'pipeline')
    return setUpPipeline(withSome(IN_STAGES, settings ?? {}), someText(), byteTokenizer(), limits);
  if (word === 'serve') return setUpServe(settings ?? {}, someText(), runtime, limits);
  const game = guardGame(isGameFile(word) ? await readGameFile(word) : await loadGame(word), limits);
  const params = await decodeParams(game, utf8(JSON.stringify(settings ?? {})));
  if (!game.first) {
    throw new SimulationError(
      'bad-options',
      `${game.name} has no "first": a game that is tried must say how it begins`,
    );
  }
  return { game, params, first: await game.first(params), blobs: new Map() };
}

/** Three stages of a layer each, the first with the embedding and the last with the head. */
export const IN_STAGES = {
  ...SMALL,
  model: { ...SMALL.model, num_hidden_layers: 3, tie_word_embeddings: false },
  ...{ stages: 3, batch: 4, micro_batches: 2, sparse: { step: null } },
};

/** Settings with some of them replaced, those of the model one by one. */
const withSome = <Usual extends TrainingSettings>(usual: Usual, settings: object): Usual => ({
  ...usual,
  ...settings,
  model: { ...usual.model, ...('model' in settings ? Object(settings.model) : {}) },
});

/** The settings of a game that trains a model, without its data. */
interface TrainingSettings {
  readonly model: object;
}
type Texts = AsyncIterable<string> | Iterable<string>;

/** Pre-training on a text. Throws GameError `bad-params`. */
export async function setUpPretrain(
  settings: TrainingSettings,
  texts: Texts,
  tokenizer: Tokenizer,
  limits: Partial<GuardLimits>,
): Promise<GameSetup> {
  const { read, ...setup } = await setUpTraining('pretrain', settings, texts, tokenizer, limits);
  const params = PretrainParamsSchema.parse(read);
  const first = roundedWeights(params.sparse.weights, initialWeights(params.model, 'arena'));
  return { ...setup, params, first };
}

/** Training in stages on a text. Throws GameError `bad-params`. */
export async function setUpPipeline(
  settings: TrainingSettings,
  texts: Texts,
  tokenizer: Tokenizer,
  limits: Partial<GuardLimits>,
): Promise<GameSetup> {
  const { read, ...setup } = await setUpTraining('pipeline', settings, texts, tokenizer, limits);
  const params = PipelineParamsSchema.parse(read);
  const names = stateTensors(params).map(({ name }) => name);
  const tensors = [...firstTensors(params, 'arena', undefined)];
  return { ...setup, params, first: new Map(names.map((name, i) => [name, tensors[i]])) };
}

/** The game, the text as its data, and the settings as its schema reads them. */
async function setUpTraining(
  name: 'pretrain' | 'pipeline',
  settings: TrainingSettings,
  texts: Texts,
  tokenizer: Tokenizer,
  limits: Partial<GuardLimits>,
) {
  const { blobs, put } = memoryBlobs();
  const dataset = await put(encodeManifest(await buildDataset(texts, tokenizer, put)));
  const model = { ...settings.model, vocab_size: tokenizer.vocab_size };
  const game = guardGame(await loadGame(name), limits);
  return { game, blobs, read: await decodeParams(game, utf8(JSON.stringify({ ...settings, model, dataset }))) };
}

async function* someText(): AsyncGenerator<string> {
  let left = TEXT_CHARACTERS;
  for await (const text of defaultCorpus()) {
    if (left <= 0) return;
    yield text.slice(0, left);
    left -= text.length;
  }
}
