// Exports a run's current model: fetches it by hash, verifies it, and writes it in the form that other tools read.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasTensors } from '../games/game.ts';
import { catchUp } from '../games/history.ts';
import { decodeParams } from '../games/params.ts';
import { type LoadGame, offerOf } from '../games/registry.ts';
import { exportModel } from '../model/checkpoint-folder.ts';
import { ggufFile } from '../model/gguf.ts';
import type { WrittenType } from '../model/gguf-types.ts';
import { exportOnnx } from '../model/onnx-folder.ts';
import type { Identity } from '../protocol/identity.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import { addProvenance } from './ownership-shares.ts';
import { type OnTransfer, openRun, type TakenModel, takeModel, weightsOf } from './taken-model.ts';

/** What is written beside model.safetensors, by the name of the format. */
const FORMATS: Readonly<
  Record<ExportFormat, (target: string, taken: TakenModel, quantisation?: WrittenType) => Promise<string[]>>
> = {
  folder: async () => [],
  // Its graphs hold the weights, so this takes the memory of the whole model.
  onnx: async (target, taken) => exportOnnx(target, { ...taken, weights: await weightsOf(taken) }),
  gguf: exportGguf,
};
export type ExportFormat = 'folder' | 'onnx' | 'gguf';
export const EXPORT_FORMATS = Object.keys(FORMATS) as ExportFormat[];

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
    ...new Set([
      ...(await exportModel(target, { ...taken, weights: taken.tensors() })),
      ...(await FORMATS[format](target, taken, quantisation)),
    ]),
  ];
  return { ...taken, files: [...files, ...(await addProvenance(url, taken, target, signer))] };
}

/** Writes TARGET/model.gguf, which names the run and the hash that the log has for the model. Throws ModelError `unsupported`, `wrong-weights`. */
async function exportGguf(target: string, taken: TakenModel, type: WrittenType = 'f32'): Promise<string[]> {
  const { config, tokenizer, name, run, model, merged_rounds } = taken;
  const origin = { run, model, merged_rounds: String(merged_rounds) };
  const file = join(target, 'model.gguf');
  await writeWhole(file, ggufFile({ config, tokenizer, type, name, origin }, taken.tensors()), { durable: true });
  return [file];
}
