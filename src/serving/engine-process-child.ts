// The child process of an engine: loads one model and writes the answers that its parent asks for. It ends when its parent has gone.
import { availableParallelism } from 'node:os';
import { CodedError } from '../errors.ts';
import { importModel, nameOfFolder } from '../model/checkpoint-folder.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { yieldToOthers } from '../tensor/priority.ts';
import { type JudgingServer, openAnswerServer } from './answer-server.ts';
import { chatOf } from './chat.ts';
import { openLlamaEngine } from './engine-llama.ts';
import { openOwnEngine } from './engine-own.ts';
import {
  type EngineSettings,
  type FromEngine,
  type SaidError,
  type ToEngine,
  ToEngineSchema,
} from './engine-process-messages.ts';
import { ServingError } from './errors.ts';
import { mostThreads } from './serving-threads.ts';

// Kernels' handlers that run at an orderly end may hang.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
yieldToOthers();

const say = (message: FromEngine): void => {
  if (process.connected) process.send!(message, undefined, undefined, () => {});
};

/** What may be said of an error: codes of other rooms become those that the caller of an engine knows. */
function said(error: unknown): SaidError {
  const message = (error instanceof Error ? error.message : String(error)).slice(0, 4000);
  if (!(error instanceof CodedError)) return { code: 'engine-ended', message, details: {} };
  const details = Object.fromEntries(
    Object.entries(error.details).flatMap(([key, value]) => (Array.isArray(value) ? [] : [[key, value]])),
  ) as SaidError['details'];
  if (error instanceof ServingError) return { code: error.code, message, details };
  const code = (['corrupt-file', 'too-large', 'unsupported', 'bad-input'] as const).find((code) => code === error.code);
  return { code: code ?? 'corrupt-file', message, details };
}

interface Opened {
  readonly server: JudgingServer;
  setThreads(threads: number): void;
}

let opened: Opened | null = null;
/** Requests in work, by the parent's number. */
const works = new Map<number, { readonly controller: AbortController; room: number; wake(): void }>();

/** As many threads as the parent allows, but never all cores. */
const allowed = (threads: number): number => Math.min(threads, mostThreads(availableParallelism()));

/** The engine that a file or folder needs. */
async function openEngine({ model, context_tokens, places, threads }: EngineSettings) {
  if (model.kind === 'gguf') {
    const { path, hash } = model;
    const options = { hash, context_tokens, sequences: places, threads: allowed(threads) };
    const engine = await openLlamaEngine(path, options);
    return { engine, setThreads: (threads: number) => engine.setThreads(allowed(threads)) };
  }
  const { tokenizer, ...stored } = await importModel(model.path);
  if (!tokenizer)
    throw new ServingError('unsupported', `${model.path} has no tokenizer.json: the model knows only its own tokens`);
  const hash = await nameOfFolder(model.path);
  const runtime = await createNativeRuntime({ threads: allowed(threads) });
  const cache_tokens = places * (context_tokens ?? stored.config.max_position_embeddings);
  const engine = await openOwnEngine(runtime, { ...stored, tokenizer, hash }, { cache_tokens });
  // ONNX Runtime's threads belong to its sessions: their number stays.
  return { engine, setThreads: () => {} };
}

async function open(settings: EngineSettings): Promise<void> {
  const { engine, setThreads } = await openEngine(settings);
  const { name, licence, created_ms, chat_template } = settings;
  const server = openAnswerServer([
    { engine, name, licence, created_ms, ...chatOf(chat_template, engine.model.tokens) },
  ]);
  opened = { server, setThreads };
  const [model] = server.models();
  say({ say: 'opened', model, class: engine.class, cache_tokens: engine.free_tokens });
}

/** Why the parent wants no more of a request: only it knows. */
const GONE = new Error('the caller has gone');

/** Runs the work of a request, and says how it ended; an abort of the parent's is no error. */
async function work(id: number, task: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  works.set(id, { controller, room: 0, wake() {} });
  try {
    await task(controller.signal);
    say({ say: 'over', id, error: null });
  } catch (error) {
    // An engine that is closed may say so before the task has heard of the abort, which is why.
    const { aborted, reason } = controller.signal;
    say({ say: 'over', id, error: reason === GONE ? null : said(aborted ? reason : error) });
  } finally {
    works.delete(id);
  }
}

/** Resolves once the parent takes another event of a request. */
async function room(id: number, signal: AbortSignal): Promise<void> {
  const state = works.get(id)!;
  while (state.room === 0) {
    signal.throwIfAborted();
    await new Promise<void>((resolve) => {
      state.wake = resolve;
    });
  }
  state.room--;
}

async function hear(message: ToEngine): Promise<void> {
  switch (message.say) {
    case 'open':
      return open(message.settings);
    case 'answer':
      return work(message.id, async (signal) => {
        for await (const event of must().server.answer(message.request, signal)) {
          await room(message.id, signal);
          say({ say: 'event', id: message.id, event });
        }
      });
    case 'embed':
      return work(message.id, async (signal) => {
        const [{ name }] = must().server.models();
        const { vectors, tokens } = await must().server.embed({ model: name, inputs: message.inputs }, signal);
        say({ say: 'embedded', id: message.id, vectors: [...vectors], tokens });
      });
    case 'judge':
      return work(message.id, async (signal) => {
        say({ say: 'judged', id: message.id, judged: await must().server.judge(message.task, signal) });
      });
    case 'more': {
      const state = works.get(message.id);
      if (!state) return;
      state.room += message.events;
      return state.wake();
    }
    case 'abort': {
      const state = works.get(message.id);
      state?.controller.abort(GONE);
      return state?.wake();
    }
    case 'threads':
      return must().setThreads(message.threads);
    case 'close':
      for (const { controller, wake } of works.values()) {
        controller.abort(new ServingError('interrupted', 'this server is going down'));
        wake();
      }
      await opened?.server.close();
      process.disconnect(); // which ends it
  }
}

function must(): Opened {
  if (opened) return opened;
  throw new ServingError('bad-input', 'the engine has no model yet');
}

process.on('message', (raw) => {
  hear(ToEngineSchema.parse(raw)).catch((error: unknown) => {
    if (!opened) return say({ say: 'failed', error: said(error) });
    throw error; // a mistake of this program: the parent reads it among the last words
  });
});
