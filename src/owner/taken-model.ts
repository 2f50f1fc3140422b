// The model of a run that trains one, as other tools have it: the tensors of a Llama model one after the other, verified by its hash.
import { openBlobFolder } from '#blob-folder';
import { type AnyGame, hasTensors } from '../games/game.ts';
import { catchUp } from '../games/history.ts';
import { decodeParams } from '../games/params.ts';
import { loadGame } from '../games/registry.ts';
import { readTensors } from '../games/state.ts';
import { mustBeLlama, type TrainingParams, trainsOnText } from '../games/text-training.ts';
import { type LlamaConfig, parameterSpecs, type Weights } from '../model/config.ts';
import type { RoundedDtype } from '../model/dtypes.ts';
import { type Tokenizer, tokenizerFromJson } from '../model/tokenizer.ts';
import { openPeerBlobs, type PeerBlobs, type Transfer } from '../peer/blobs.ts';
import { askHub, findRun } from '../peer/find-run.ts';
import { createIdentity } from '../protocol/identity.ts';
import { type RunView, RunViewSchema } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { decodeManifest } from '../training/shards.ts';

export type OnTransfer = (transfer: Transfer) => void;

export interface TakenModel {
  readonly run: string;
  /** The run's name. */
  readonly name: string;
  readonly model: string;
  readonly merged_rounds: number;
  readonly config: LlamaConfig;
  /** What the run keeps its weights in, and so the files that are written. */
  readonly dtype: RoundedDtype;
  readonly tokenizer: Tokenizer;
  /**
   * Its tensors in the order of `parameterSpecs`. Where the hub has the model whole, each is fetched when it is taken, so that a model need not
   * fit into memory. Throws PeerError, HistoryError, ModelError.
   */
  tensors(): AsyncIterable<Float32Array>;
}

/** All tensors of a taken model, by name. Throws as `tensors` does. */
export async function weightsOf({ config, tensors }: Pick<TakenModel, 'config' | 'tensors'>): Promise<Weights> {
  const specs = parameterSpecs(config);
  const weights = new Map<string, Float32Array>();
  for await (const values of tensors()) weights.set(specs[weights.size].name, values);
  return weights;
}

/** What a new run takes over from another: its last whole model, and the settings that must be the same. */
export interface Ancestor {
  readonly run: string;
  readonly merged_rounds: number;
  readonly model: string;
  readonly config: LlamaConfig;
  readonly dtype: RoundedDtype;
  readonly tokenizer: Tokenizer;
}

/** The last model of a run that is stored whole. Throws PeerError `no-such-run` where there is none yet, and as takeModel does. */
export async function ancestorOf(url: string, wanted: string, folder: string): Promise<Ancestor> {
  const { view, params, tokenizer } = await openTrainingRun(url, wanted, folder);
  const { merged_rounds, model } = view.checkpoint;
  if (merged_rounds === 0) {
    throw new PeerError('no-such-run', `run ${view.run} keeps no model yet: it has merged ${view.round} rounds`);
  }
  const { model: config, sparse } = params;
  return { run: view.run, merged_rounds, model, config, dtype: sparse.weights, tokenizer };
}

/**
 * A run's current model. `folder` keeps the blobs. Throws PeerError, GameError, ModelError; `unsupported` for one that is no Llama model because
 * boundaries between stages are a part of it.
 */
export async function takeModel(
  url: string,
  wanted: string | undefined,
  folder: string,
  onTransfer?: OnTransfer,
): Promise<TakenModel> {
  const { view, params, tokenizer, game, blobs } = await openTrainingRun(url, wanted, folder, onTransfer);
  return {
    run: view.run,
    name: view.name,
    model: view.model,
    merged_rounds: view.round,
    config: params.model,
    dtype: params.sparse.weights,
    tokenizer,
    tensors: tensorsOf(game, params, view, blobs),
  };
}

/** Reads a model that is stored whole part by part; another one is merged, once. */
function tensorsOf(
  game: AnyGame,
  params: TrainingParams,
  view: RunView,
  { fetch }: Pick<PeerBlobs, 'fetch'>,
): TakenModel['tensors'] {
  if (view.checkpoint.model === view.model && hasTensors(game)) {
    const specs = game.tensors(params);
    return () => readTensors(specs, view.model, fetch);
  }
  let merged: Promise<Weights> | null = null;
  return async function* () {
    merged ??= catchUp(game, params, view, null, fetch).then(({ state }) => state as Weights);
    yield* (await merged).values();
  };
}

/** A run that trains a model, with its settings and its tokenizer. */
async function openTrainingRun(url: string, wanted: string | undefined, folder: string, onTransfer?: OnTransfer) {
  const { view, blobs } = await openRun(url, wanted, folder, onTransfer);
  if (!trainsOnText(view.game))
    throw new PeerError('no-such-run', `run ${view.run} trains no model: it plays ${view.game}`);
  const game = await loadGame(view.game);
  const params = (await decodeParams(game, await blobs.fetch(view.params))) as TrainingParams; // the game's own schema has checked it
  mustBeLlama(view.run, params);
  const manifest = decodeManifest(await blobs.fetch(params.dataset));
  const json = new TextDecoder().decode(await blobs.fetch(manifest.tokenizer));
  return { view, game, params, blobs, tokenizer: tokenizerFromJson(json) };
}

/** A run of a hub as it is now, and its blobs. Throws PeerError. */
export async function openRun(url: string, wanted: string | undefined, folder: string, onTransfer?: OnTransfer) {
  const { hub, view: status } = await findRun(url, wanted);
  const parsed = RunViewSchema.safeParse((await askHub(url, `/runs/${status.run}`)).json);
  if (!parsed.success) throw new PeerError('not-a-hub', `expected the run ${status.run} from ${url}`);
  const blobs = openPeerBlobs({ url, hub, identity: createIdentity(), cache: openBlobFolder(folder), onTransfer });
  return { view: parsed.data, blobs };
}
