// The Worker that prepares a model's folder for download: settings, tokenizer and weights.
import '../tab/no-eval.ts';
import { catchUp } from '../../games/history.ts';
import { decodeParams } from '../../games/params.ts';
import { loadGame } from '../../games/registry.ts';
import { readTensors } from '../../games/state.ts';
import { mustBeLlama, type TrainingParams } from '../../games/text-training.ts';
import { modelFileHeader, modelTensors } from '../../model/checkpoint.ts';
import type { Weights } from '../../model/config.ts';
import { encodeValues } from '../../model/dtypes.ts';
import { folderTexts } from '../../model/folder-texts.ts';
import { tokenizerFromJson } from '../../model/tokenizer.ts';
import { openPeerBlobs } from '../../peer/blobs.ts';
import { askHub, fetchRuns } from '../../peer/find-run.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { RunViewSchema } from '../../protocol/messages.ts';
import { decodeManifest } from '../../training/shards.ts';
import { openTabStore } from '../tab/store.ts';
import { openTabBlobs } from '../tab/tab-storage.ts';
import type { HomeFile, HomeNews, HomeOrder } from './owner-messages.ts';

const say = (news: HomeNews): void => postMessage(news);

async function prepare({ url, run }: HomeOrder): Promise<void> {
  say({ kind: 'progress', what: 'Asking for the run' });
  const [{ hub }, answer] = await Promise.all([fetchRuns(url), askHub(url, `/runs/${run}`)]);
  const view = RunViewSchema.parse(answer.json);
  const blobs = openPeerBlobs({
    ...{ url, hub, identity: createIdentity() },
    cache: openTabBlobs(await openTabStore(), Date.now),
  });
  const game = await loadGame(view.game);
  const params = (await decodeParams(game, await blobs.fetch(view.params))) as TrainingParams; // the game's own schema has checked it
  mustBeLlama(run, params);
  say({ kind: 'progress', what: 'Fetching the tokenizer' });
  const manifest = decodeManifest(await blobs.fetch(params.dataset));
  const tokenizer = tokenizerFromJson(new TextDecoder().decode(await blobs.fetch(manifest.tokenizer)));
  const dtype = params.sparse.weights;
  const files: HomeFile[] = folderTexts(params.model, tokenizer, dtype).map(([name, text]) => ({
    name,
    content: new Blob([text]),
  }));
  const specs = modelTensors(params.model, dtype);
  const computed = async (): Promise<Iterable<Float32Array>> => {
    const { state } = await catchUp(game, params, view, null, blobs.fetch);
    return (state as Weights).values();
  };
  const whole = view.checkpoint.model === view.model;
  say({ kind: 'progress', what: whole ? 'Fetching the model' : `Computing the model of ${view.round} rounds` });
  // A browser keeps large Blobs on its disk, so a model that the hub has whole is never in this page's memory.
  const pieces = [new Blob([modelFileHeader(params.model, dtype) as Uint8Array<ArrayBuffer>])];
  for await (const values of whole ? readTensors(specs, view.model, blobs.fetch) : await computed()) {
    pieces.push(new Blob([encodeValues(dtype, values) as Uint8Array<ArrayBuffer>]));
  }
  files.push({ name: 'model.safetensors', content: new Blob(pieces) });
  say({ kind: 'ready', files, model: view.model, merged_rounds: view.round });
}

addEventListener('message', ({ data }: MessageEvent<HomeOrder>) => {
  prepare(data).catch((error: unknown) =>
    say({ kind: 'failed', message: error instanceof Error ? error.message : String(error) }),
  );
});
