// Exports a run's current model: fetches it by hash, verifies it, and writes it in the form that other tools read.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openBlobFolder } from '#blob-folder';
import { hasTensors } from '../games/game.ts';
import { catchUp } from '../games/history.ts';
import { decodeParams } from '../games/params.ts';
import { PretrainParamsSchema } from '../games/pretrain.ts';
import { type LoadGame, loadGame, offerOf } from '../games/registry.ts';
import { exportModel } from '../model/checkpoint-folder.ts';
import { type LlamaConfig, parameterSpecs, type Weights } from '../model/config.ts';
import type { RoundedDtype } from '../model/dtypes.ts';
import { ggufFile } from '../model/gguf.ts';
import type { WrittenType } from '../model/gguf-types.ts';
import { exportOnnx } from '../model/onnx-folder.ts';
import { type Tokenizer, tokenizerFromJson } from '../model/tokenizer.ts';
import { openPeerBlobs, type Transfer } from '../peer/blobs.ts';
import { askHub, findRun } from '../peer/find-run.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { RunViewSchema } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import { decodeManifest } from '../training/shards.ts';
import { addProvenance } from './ownership-shares.ts';

type OnTransfer = (transfer: Transfer) => void;

/** What is written beside model.safetensors, by the name of the format. */
const FORMATS: Readonly<
  Record<ExportFormat, (target: string, taken: TakenModel, quantisation?: WrittenType) => Promise<string[]>>
> = {
  folder: async () => [],
  onnx: (target, taken) => exportOnnx(target, taken),
  gguf: exportGguf,
};
export type ExportFormat = 'folder' | 'onnx' | 'gguf';
export const EXPORT_FORMATS = Object.keys(FORMATS) as ExportFormat[];

export interface TakenModel {
  readonly run: string;
  /** The run's name. */
  readonly name: string;
  readonly model: string;
  readonly merged_rounds: number;
  readonly config: LlamaConfig;
  readonly weights: Weights;
  /** What the run keeps its weights in, and so the files that are written. */
  readonly dtype: RoundedDtype;
  readonly tokenizer: Tokenizer;
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
  const { view, params, tokenizer } = await openPretrainRun(url, wanted, folder);
  const { merged_rounds, model } = view.checkpoint;
  if (merged_rounds === 0) {
    throw new PeerError('no-such-run', `run ${view.run} keeps no model yet: it has merged ${view.round} rounds`);
  }
  const { model: config, sparse } = params;
  return { run: view.run, merged_rounds, model, config, dtype: sparse.weights, tokenizer };
}

/** A run's current model, verified by its hash. `folder` keeps the blobs. Throws PeerError, HistoryError, GameError, ModelError. */
export async function takeModel(
  url: string,
  wanted: string | undefined,
  folder: string,
  onTransfer?: OnTransfer,
): Promise<TakenModel> {
  const { view, params, tokenizer, game, blobs } = await openPretrainRun(url, wanted, folder, onTransfer);
  const held = await catchUp(game, params, view, null, blobs.fetch);
  return {
    run: view.run,
    name: view.name,
    model: held.hash,
    merged_rounds: view.round,
    config: params.model,
    weights: held.state as Weights,
    dtype: params.sparse.weights,
    tokenizer,
  };
}

/** A run that trains a model, with its settings and its tokenizer. */
async function openPretrainRun(url: string, wanted: string | undefined, folder: string, onTransfer?: OnTransfer) {
  const { view, blobs } = await openRun(url, wanted, folder, onTransfer);
  if (view.game !== 'pretrain')
    throw new PeerError('no-such-run', `run ${view.run} trains no model: it plays ${view.game}`);
  const game = await loadGame(view.game);
  const params = PretrainParamsSchema.parse(await decodeParams(game, await blobs.fetch(view.params)));
  const manifest = decodeManifest(await blobs.fetch(params.dataset));
  const json = new TextDecoder().decode(await blobs.fetch(manifest.tokenizer));
  return { view, game, params, blobs, tokenizer: tokenizerFromJson(json) };
}

async function openRun(url: string, wanted: string | undefined, folder: string, onTransfer?: OnTransfer) {
  const { hub, view: status } = await findRun(url, wanted);
  const parsed = RunViewSchema.safeParse((await askHub(url, `/runs/${status.run}`)).json);
  if (!parsed.success) throw new PeerError('not-a-hub', `expected the run ${status.run} from ${url}`);
  const blobs = openPeerBlobs({ url, hub, identity: createIdentity(), cache: openBlobFolder(folder), onTransfer });
  return { view: parsed.data, blobs };
}

/** The exported state of a game that trains no model. */
export interface TakenState {
  readonly run: string;
  readonly game: string;
  /** Its hash in the log. */
  readonly state: string;
  readonly merged_rounds: number;
  readonly file: string;
}

/**
 * Writes the current state of a run of any game as its canonical bytes, DIR/state.bin, verified by its hash; null for a run that trains a
 * model, for which exportRun is meant. Throws PeerError, HistoryError, GameError (`unknown-game`: the game's file is needed).
 */
export async function exportState(
  url: string,
  wanted: string | undefined,
  folder: string,
  target: string,
  loadGame: LoadGame,
  onTransfer?: OnTransfer,
): Promise<TakenState | null> {
  const { view, blobs } = await openRun(url, wanted, folder, onTransfer);
  const game = await loadGame(view.game, offerOf(view.game_file, blobs.fetch));
  if (hasTensors(game)) return null;
  const params = await decodeParams(game, await blobs.fetch(view.params));
  const held = await catchUp(game, params, view, null, blobs.fetch);
  const file = join(target, 'state.bin');
  await mkdir(target, { recursive: true });
  await writeFile(file, await game.encodeState(params, held.state));
  return { run: view.run, game: view.game, state: held.hash, merged_rounds: view.round, file };
}

/** Which model goes where, and how. */
export interface ExportOrder {
  /** The hub's address. */
  readonly url: string;
  /** The run, by its name or the beginning of its id; undefined: the only one. */
  readonly wanted: string | undefined;
  /** The cache of blobs. */
  readonly folder: string;
  /** The folder that is written. */
  readonly target: string;
  /** Signs the manifest. */
  readonly signer: Identity;
  readonly onTransfer?: OnTransfer;
  readonly format?: ExportFormat;
  readonly quantisation?: WrittenType;
}

/**
 * Writes a taken model as a folder that transformers can load, and in another format beside it, with the table of shares, the log's
 * checkpoint and a manifest that `signer` signs; resolves to the files. Throws as takeModel, the format's writer and addProvenance do.
 */
export async function exportRun({
  url,
  wanted,
  folder,
  target,
  signer,
  ...how
}: ExportOrder): Promise<TakenModel & { readonly files: string[] }> {
  const { onTransfer, format = 'folder', quantisation } = how;
  const taken = await takeModel(url, wanted, folder, onTransfer);
  // A format may write some of the folder's files anew.
  const files = [
    ...new Set([...(await exportModel(target, taken)), ...(await FORMATS[format](target, taken, quantisation))]),
  ];
  return { ...taken, files: [...files, ...(await addProvenance(url, taken, target, signer))] };
}

/** Writes TARGET/model.gguf, which names the run and the hash that the log has for the model. Throws ModelError `unsupported`, `wrong-weights`. */
async function exportGguf(target: string, taken: TakenModel, type: WrittenType = 'f32'): Promise<string[]> {
  const { config, tokenizer, weights, name, run, model, merged_rounds } = taken;
  const origin = { run, model, merged_rounds: String(merged_rounds) };
  const inOrder = parameterSpecs(config).map(({ name }) => weights.get(name)!);
  const file = join(target, 'model.gguf');
  await writeWhole(file, ggufFile({ config, tokenizer, type, name, origin }, inOrder), { durable: true });
  return [file];
}
