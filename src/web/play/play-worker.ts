// The Worker that holds the present model and writes with it: fetched by hash, brought up to date before each text.
import '../tab/no-eval.ts';
import { CodedError } from '../../errors.ts';
import { catchUp, type HeldState } from '../../games/history.ts';
import { decodeParams } from '../../games/params.ts';
import type { PretrainParams } from '../../games/pretrain.ts';
import { loadGame } from '../../games/registry.ts';
import { parameterSpecs, type Weights } from '../../model/config.ts';
import { type Decoder, generateWith, openDecoder } from '../../model/generate.ts';
import { type Tokenizer, tokenizerFromJson } from '../../model/tokenizer.ts';
import { openPeerBlobs, type PeerBlobs } from '../../peer/blobs.ts';
import { askHub, fetchStatus } from '../../peer/find-run.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { type RunView, RunViewSchema } from '../../protocol/messages.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import { createWebWasmRuntime, mayUseThreads } from '../../tensor/web-runtime.ts';
import { decodeManifest } from '../../training/shards.ts';
import { openTabBlobs } from '../tab/keepsakes.ts';
import { WASM_FILES } from '../tab/ort-files.ts';
import { openTabStore } from '../tab/store.ts';
import type { FromModel, ToModel } from './play-messages.ts';

/** One row of a small model is soon computed: more threads only wait for each other. */
const MOST_THREADS = 4;

interface Opened {
  readonly url: string;
  readonly run: string;
  readonly blobs: PeerBlobs;
  readonly runtime: Runtime;
  readonly threads: number;
  readonly params: PretrainParams;
  readonly tokenizer: Tokenizer;
}

const say = (message: FromModel): void => postMessage(message);

let opened: Opened | null = null;
let held: HeldState | null = null;
let decoder: Decoder | null = null;
let writing: AbortController | null = null;

async function viewOf(url: string, run: string): Promise<RunView> {
  return RunViewSchema.parse((await askHub(url, `/runs/${run}`)).json);
}

async function open(url: string, run: string): Promise<void> {
  say({ kind: 'loading', what: 'what computes' });
  const threads = mayUseThreads() ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  const runtime = await createWebWasmRuntime({ files: WASM_FILES, threads });
  const [{ hub }, view] = await Promise.all([fetchStatus(url), viewOf(url, run)]);
  const cache = openTabBlobs(await openTabStore(), Date.now);
  const blobs = openPeerBlobs({ url, hub, identity: createIdentity(), cache });
  const game = await loadGame(view.game);
  const params = decodeParams(game, await blobs.fetch(view.params)) as PretrainParams; // as the game's own schema has found it
  const manifest = decodeManifest(await blobs.fetch(params.dataset));
  const tokenizer = tokenizerFromJson(new TextDecoder().decode(await blobs.fetch(manifest.tokenizer)));
  opened = { url, run, blobs, runtime, threads, params, tokenizer };
  await follow();
}

/** Takes the present model, unless it is in hand. */
async function follow(): Promise<void> {
  const { url, run, blobs, runtime, threads, params } = opened!;
  const view = await viewOf(url, run);
  if (decoder && held?.hash === view.model) return;
  say({ kind: 'loading', what: `the model of ${view.round} rounds` });
  held = await catchUp(await loadGame(view.game), params, view, held, blobs.fetch);
  await decoder?.close();
  decoder = await openDecoder(runtime, { config: params.model, weights: held.state as Weights });
  const parameters = parameterSpecs(params.model).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const { num_hidden_layers: layers, max_position_embeddings: context } = params.model;
  say({ kind: 'ready', model: { hash: held.hash, merged_rounds: view.round, parameters, layers, context, threads } });
}

async function write({ prompt, max_tokens, temperature, seed }: Extract<ToModel, { kind: 'write' }>): Promise<void> {
  const stop = new AbortController();
  writing = stop;
  // Without the hub the model in hand goes on writing.
  await follow().catch((error: unknown) => {
    if (!decoder || !(error instanceof CodedError)) throw error;
  });
  const started_ms = performance.now();
  let pieces = 0;
  const options = { prompt, max_tokens, temperature, top_p: 0.95, seed, signal: stop.signal };
  try {
    for await (const text of generateWith(decoder!, opened!.tokenizer, options)) {
      pieces++;
      say({ kind: 'piece', text });
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  }
  say({ kind: 'done', pieces, seconds: (performance.now() - started_ms) / 1000, stopped: stop.signal.aborted });
}

/** One thing after the other: the model holds one text at a time. */
let queue: Promise<void> = Promise.resolve();

addEventListener('message', ({ data }: MessageEvent<ToModel>) => {
  if (data.kind === 'stop') {
    writing?.abort();
    return;
  }
  queue = queue
    .then(() => (data.kind === 'open' ? open(data.url, data.run) : write(data)))
    .catch((error: unknown) => {
      // Whatever it is (a game without a model, a hub that sends nonsense, no memory): the person sees it.
      say({ kind: 'failed', message: error instanceof Error ? error.message.slice(0, 500) : String(error) });
    });
});
