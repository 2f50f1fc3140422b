// What `potluck serve MODEL` can serve: a folder, a GGUF file, a run at a hub, or the newest model of the demo, each opened as an engine.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { z } from 'zod';
import { importModel, nameOfFolder } from '../model/checkpoint-folder.ts';
import { readJson, readText } from '../model/read-json.ts';
import { takeModel, weightsOf } from '../owner/taken-model.ts';
import type { Transfer } from '../peer/blobs.ts';
import { type ClosingServer, openAnswerServer, type ServedModel } from '../serving/answer-server.ts';
import { chatOf } from '../serving/chat.ts';
import { type OwnModel, openOwnEngine } from '../serving/engine-own.ts';
import { joinServers } from '../serving/joined-servers.ts';
import { createNativeRuntime, isNativeHere } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { homeFolder } from './folders.ts';
import { hubUrl, runHandle } from './options.ts';
import { CliError } from './output.ts';

export interface ServingSettings {
  readonly threads: number;
  /** Answers that are written at the same time, each with the model's whole context. */
  readonly places: number;
  /** Under which terms the models are offered; null where that was not said. */
  readonly licence: string | null;
  /** What a single model is called instead of its own name. */
  readonly name?: string;
  readonly onTransfer: (transfer: Transfer) => void;
  /** Hears when the engine of a file has ended, and when it is there again. */
  readonly onNews: (message: string) => void;
}

/** A model on the command line. */
type Place =
  | { readonly kind: 'folder'; readonly path: string; readonly name: string }
  | { readonly kind: 'gguf'; readonly path: string; readonly name: string }
  | { readonly kind: 'run'; readonly run: string; readonly hub: string; readonly name: string };

const TokenizerSettingsSchema = z.looseObject({ chat_template: z.string().nullish() });

/** Where the demo keeps its models, and how it calls them. */
const DEMO_FOLDER = join('potluck-data', 'demo');
const DEMO_MODEL = /^model-[0-9a-f]{8}$/;

/** The models that are named, or the demo's. Throws CliError `bad-argument` or `missing-file`. */
export function placesOf(words: readonly string[], demo_folder = DEMO_FOLDER): Place[] {
  return words.length === 0 ? [newestOfDemo(demo_folder)] : words.map(placeOf);
}

function placeOf(word: string): Place {
  const found = statSync(word, { throwIfNoEntry: false });
  if (found?.isDirectory()) {
    if (existsSync(join(word, 'config.json'))) return { kind: 'folder', path: word, name: basename(resolve(word)) };
    throw new CliError('missing-file', `${word} is no folder of a model: it has no config.json`);
  }
  if (found) {
    if (extname(word) === '.gguf') return { kind: 'gguf', path: word, name: basename(word, '.gguf') };
    throw new CliError('bad-argument', `expected a folder of a model or a .gguf file, got the file ${word}`);
  }
  const at = word.lastIndexOf('@');
  if (at > 0) {
    const run = runHandle(word.slice(0, at));
    return { kind: 'run', run, hub: hubUrl(word.slice(at + 1)), name: run };
  }
  throw new CliError('missing-file', `no model at ${word}: expected a folder, a .gguf file, or RUN@URL of a hub`);
}

function newestOfDemo(folder: string): Place {
  const changed_ms = (name: string): number => statSync(join(folder, name, 'config.json')).mtimeMs;
  const models = existsSync(folder)
    ? readdirSync(folder).filter((name) => DEMO_MODEL.test(name) && existsSync(join(folder, name, 'config.json')))
    : [];
  const [newest] = models.sort((a, b) => changed_ms(b) - changed_ms(a));
  if (newest !== undefined) return { kind: 'folder', path: join(folder, newest), name: 'demo' };
  throw new CliError(
    'missing-file',
    `no model was named, and ${folder} has none: train one with potluck demo, or name a folder, a .gguf file, or RUN@URL`,
  );
}

/** Opens models one after the other, and serves them. Throws CliError, ModelError, PeerError, ServingError; then nothing stays open. */
export async function openModels(places: readonly Place[], settings: ServingSettings): Promise<ClosingServer> {
  const names = places.map(({ name }) => (places.length === 1 ? (settings.name ?? name) : name));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new CliError('bad-argument', `two models are called ${twice}: serve them apart`);
  const servers: ClosingServer[] = [];
  let runtime: Runtime | null = null;
  const server = joinServers(servers);
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => {
    closing ??= server.close().then(() => runtime?.close());
    return closing;
  };
  try {
    for (const [i, place] of places.entries()) {
      if (place.kind === 'gguf') {
        const { openGgufModel } = await import('./serve-gguf.ts'); // it looks for llama.cpp
        servers.push(await openGgufModel(place.path, { ...settings, name: names[i] }));
        continue;
      }
      runtime ??= await openRuntime(settings.threads);
      servers.push(openAnswerServer([await openOwn(runtime, place, names[i], settings)]));
    }
    return { ...server, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const openRuntime = (threads: number): Promise<Runtime> =>
  isNativeHere() ? createNativeRuntime({ threads }) : createWasmRuntime({ threads });

async function openOwn(
  runtime: Runtime,
  place: Exclude<Place, { kind: 'gguf' }>,
  name: string,
  { places, licence, onTransfer }: ServingSettings,
): Promise<ServedModel> {
  const { model, created_ms, chat_template } = await (place.kind === 'run'
    ? fromRun(place, onTransfer)
    : fromFolder(place.path));
  const cache_tokens = places * model.config.max_position_embeddings;
  const engine = await openOwnEngine(runtime, model, { cache_tokens });
  return { engine, name, licence, created_ms, ...chatOf(chat_template, engine.model.tokens) };
}

interface Found {
  readonly model: OwnModel;
  readonly created_ms: number;
  /** As its folder says; null: it does not. */
  readonly chat_template: string | null;
}

async function fromFolder(path: string): Promise<Found> {
  const { config, weights, tokenizer } = await importModel(path);
  if (!tokenizer)
    throw new CliError('missing-file', `${path} has no tokenizer.json: without it the model reads no text`);
  const hash = await nameOfFolder(path);
  const created_ms = Math.round(statSync(join(path, 'config.json')).mtimeMs);
  return { model: { config, weights, tokenizer, hash }, created_ms, chat_template: await templateIn(path) };
}

/** A model's template as transformers saves it: a file of its own, or a text in the tokenizer's settings. */
async function templateIn(path: string): Promise<string | null> {
  const file = await readText(join(path, 'chat_template.jinja'));
  if (file !== null) return file;
  const settings = TokenizerSettingsSchema.safeParse(await readJson(join(path, 'tokenizer_config.json')));
  return settings.data?.chat_template ?? null;
}

async function fromRun(
  { run, hub }: Extract<Place, { kind: 'run' }>,
  onTransfer: ServingSettings['onTransfer'],
): Promise<Found> {
  const taken = await takeModel(hub, run, join(homeFolder(), 'cache'), onTransfer);
  const { config, tokenizer, model } = taken;
  return {
    model: { config, weights: await weightsOf(taken), tokenizer, hash: model },
    created_ms: Date.now(),
    chat_template: null,
  };
}
