// The Worker that holds the current model and writes with it: downloaded by hash, updated before each text, stored for use without the hub.
import { parameterCount } from '../../games/pretrain/params.ts';
import '../tab/no-eval.ts';
import { CodedError } from '../../errors.ts';
import type { AnyGame } from '../../games/game.ts';
import { catchUp, type HeldState, type History } from '../../games/history.ts';
import { decodeParams } from '../../games/params.ts';
import { loadGame } from '../../games/registry.ts';
import { keepState, type PutBlob } from '../../games/state.ts';
import { mustBeLlama, type TrainingParams, trainsOnText, weightsOfState } from '../../games/text-training.ts';
import { parameterSpecs } from '../../model/config.ts';
import { type Decoder, type GenerateProgress, generateWith, openDecoder } from '../../model/generate.ts';
import { type Tokenizer, tokenizerFromJson } from '../../model/tokenizer.ts';
import { type BlobCache, openPeerBlobs, type PeerBlobs, type Transfer } from '../../peer/blobs.ts';
import { askHub } from '../../peer/find-run.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { megabytes } from '../../protocol/line.ts';
import { type RunView, RunViewSchema } from '../../protocol/messages.ts';
import { PeerError } from '../../protocol/peer-errors.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import { createWebWasmRuntime, mayUseThreads } from '../../tensor/web-runtime.ts';
import { decodeManifest } from '../../training/shards.ts';
import { WASM_FILES } from '../tab/ort-files.ts';
import { openTabStore, type TabStore } from '../tab/store.ts';
import { openTabBlobs } from '../tab/tab-storage.ts';
import { type KeptModel, keepModel, keptModel } from './kept-model.ts';
import type { FromModel, LoadedModel, ToModel, WriteOrder } from './play-messages.ts';
import { readAs, unreadable } from './read-as.ts';

/** One row of a small model is computed quickly, so more threads would only wait for each other. */
const MOST_THREADS = 4;
/** Keys and values of a longer sequence would take more memory than the model. */
const MOST_CONTEXT = 2048;

type PlayErrorCode = 'hub-away' | 'no-such-run' | 'other-game' | 'nothing-to-read';
/** Its message is for the person who plays. */
class PlayError extends CodedError<PlayErrorCode> {}

interface Keeper {
  readonly store: TabStore;
  readonly cache: BlobCache;
  readonly blobs: PeerBlobs;
}

interface OpenRun {
  readonly run: string;
  readonly runtime: Runtime;
  readonly threads: number;
  readonly game: AnyGame;
  readonly params: TrainingParams;
  readonly tokenizer: Tokenizer;
}

/** Where a model comes from: the hub's view, or this browser's own record. */
type Source = Pick<KeptModel, 'game' | 'params' | 'merged_rounds'> & History;

const say = (message: FromModel): void => postMessage(message);

let keeper: Keeper | null = null;
let opened: OpenRun | null = null;
let held: HeldState | null = null;
let hand: { readonly decoder: Decoder; readonly model: LoadedModel } | null = null;
let writing: AbortController | null = null;

/** What is being downloaded, in words. */
let fetching = '';
function tellFetching(what: string): void {
  fetching = what;
  say({ kind: 'loading', what });
}

async function openKeeper(): Promise<Keeper> {
  const store = await openTabStore();
  const cache = openTabBlobs(store, Date.now);
  const onTransfer = ({ done_bytes, total_bytes, trouble }: Transfer): void => {
    const far = trouble === null ? megabytes(done_bytes, total_bytes) : `broken off (${trouble}), going on`;
    say({ kind: 'loading', what: `${fetching}: ${far}` });
  };
  // Nothing is uploaded, so the hub's id is not needed.
  const blobs = openPeerBlobs({ url: location.origin, hub: '', identity: createIdentity(), cache, onTransfer });
  return { store, cache, blobs };
}

async function askView(run: string): Promise<RunView> {
  const { ok, status, json } = await askHub(location.origin, `/runs/${run}`);
  const view = RunViewSchema.safeParse(json);
  if (ok && view.success) return view.data;
  if (status === 404) throw new PlayError('no-such-run', 'This hub has no such run.');
  throw new PlayError('hub-away', `The hub does not say which model is the present one: it answered ${status}.`);
}

async function openRun(run: string, { game: name, params: hash }: Source, { blobs }: Keeper): Promise<OpenRun> {
  if (!trainsOnText(name))
    throw new PlayError('other-game', `This run plays ${name}, which trains no model that writes.`);
  tellFetching('what computes');
  const threads = mayUseThreads() ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  const runtime = await createWebWasmRuntime({ files: WASM_FILES, threads });
  const game = await loadGame(name);
  const params = (await decodeParams(game, await blobs.fetch(hash))) as TrainingParams; // the game's own schema has checked it
  mustBeLlama(run, params);
  const manifest = decodeManifest(await blobs.fetch(params.dataset));
  const tokenizer = tokenizerFromJson(new TextDecoder().decode(await blobs.fetch(manifest.tokenizer)));
  return { run, runtime, threads, game, params, tokenizer };
}

/** Loads the model of a source, unless it is loaded already. */
async function take(run: string, source: Source): Promise<void> {
  keeper ??= await openKeeper();
  opened ??= await openRun(run, source, keeper);
  if (hand && held?.hash === source.model) return;
  const { runtime, threads, game, params } = opened;
  tellFetching(`the model after ${source.merged_rounds} ${source.merged_rounds === 1 ? 'round' : 'rounds'}`);
  held = await catchUp(game, params, source, held, keeper.blobs.fetch);
  await hand?.decoder.close();
  hand = null;
  const config = params.model;
  const weights = await weightsOfState(game, params, held.state);
  const context = Math.min(config.max_position_embeddings, MOST_CONTEXT);
  const decoder = await openDecoder(runtime, { config, weights }, context);
  const kept = await keep(run, source, { hash: held.hash, state: weights }, opened, keeper);
  const parameters = parameterCount(parameterSpecs(config));
  const { merged_rounds } = source;
  const model = {
    hash: held.hash,
    merged_rounds,
    parameters,
    layers: config.num_hidden_layers,
    context,
    threads,
    kept,
  };
  hand = { decoder, model };
}

/** The whole model is stored, not the steps to it, because those change with each round. */
function keep(
  run: string,
  source: Source,
  { hash, state }: Pick<HeldState, 'hash' | 'state'>,
  open: OpenRun,
  { store, cache }: Keeper,
) {
  const { game, params, merged_rounds } = source;
  const blobs = (put: PutBlob) => keepState(open.game, open.params, state, put);
  return keepModel(store, cache, run, { game, params, model: hash, merged_rounds }, blobs);
}

/** Loads a model: the current one, or without the hub the one that is loaded or stored. */
async function present(run: string, ask_hub: boolean): Promise<void> {
  let problem = new PlayError('hub-away', 'The hub is away, and this browser has kept no model of this run.');
  if (ask_hub) {
    try {
      const view = await askView(run);
      await take(run, { ...view, merged_rounds: view.round });
      return;
    } catch (error) {
      if (!(error instanceof CodedError) || (error instanceof PlayError && error.code === 'other-game')) throw error;
      if (error instanceof PlayError) problem = error;
      else if (!(error instanceof PeerError && error.code === 'hub-unreachable') && !hand) throw error;
    }
  }
  if (hand) return;
  keeper ??= await openKeeper();
  const kept = await keptModel(keeper.store, run);
  if (!kept) throw problem;
  try {
    await take(run, { ...kept, checkpoint: { ...kept, rest: null }, recent: [] });
  } catch (error) {
    // Part of it had to make room for something newer.
    if (error instanceof PeerError && error.code === 'hub-unreachable') throw problem;
    throw error;
  }
}

async function write(run: string, ask_hub: boolean, order: WriteOrder): Promise<void> {
  const stop = new AbortController();
  writing = stop;
  await present(run, ask_hub);
  const { decoder, model } = hand!;
  const { tokenizer } = opened!;
  const problem = unreadable(order.prompt, tokenizer);
  if (problem) throw new PlayError('nothing-to-read', problem);
  say({ kind: 'begun', model, read_as: readAs(order.prompt, tokenizer) });
  const started_ms = performance.now();
  let progress: GenerateProgress = { prompt_tokens: 0, read_tokens: 0, written_tokens: 0, end_of_text: false };
  const onProgress = (now: GenerateProgress): void => {
    progress = now;
  };
  try {
    const options = { ...order, signal: stop.signal, onProgress };
    for await (const text of generateWith(decoder, tokenizer, options)) say({ kind: 'piece', text, progress });
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  }
  const seconds = (performance.now() - started_ms) / 1000;
  say({ kind: 'done', progress, seconds, stopped: stop.signal.aborted });
}

/** Turns any error (a faulty hub, missing memory, missing code) into a sentence for the person. */
function sentenceOf(error: unknown): string {
  if (error instanceof PlayError) return error.message;
  const message = error instanceof Error ? error.message : String(error);
  return `The model could not write: ${message.slice(0, 500) || 'nothing more is known'}.`;
}

/** One task after the other, because the model holds one sequence at a time. */
let queue: Promise<void> = Promise.resolve();

addEventListener('message', ({ data }: MessageEvent<ToModel>) => {
  if (data.kind === 'stop') {
    writing?.abort();
    return;
  }
  queue = queue
    .then(() => write(data.run, data.ask_hub, data.order))
    .catch((error: unknown) => say({ kind: 'failed', message: sentenceOf(error) }));
});
