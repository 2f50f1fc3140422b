// A GGUF file as a device offers it to a pool: by its hash and under its licence, computed by llama.cpp in a process of its own.
import type { z } from 'zod';
import { OfferedFileSchema } from '../protocol/serving-from-peer.ts';
import type { AnswerRequest } from '../serving/answers.ts';
import { ServingError } from '../serving/errors.ts';
import { type KeptEngine, type KeptEngineOptions, keepEngine } from '../serving/kept-engine.ts';
import { openGguf } from '../serving/open-gguf.ts';
import type { ServedModel } from './serving.ts';

/** A file whose engine is running, or is being started again. */
export interface ServedFile {
  readonly served: ServedModel;
  /** Calls back at once, and whenever its engine is gone or there again. @returns what ends that */
  watch(onUp: (isUp: boolean) => void): () => void;
  /** Of its engine's process; null: there is none now. */
  readonly pid: number | null;
  setThreads(threads: number): void;
  close(): Promise<void>;
}

export interface ServedFileSettings extends Pick<KeptEngineOptions, 'clock' | 'open' | 'onNews'> {
  /** The licence's name, where the file does not name one. */
  readonly licence?: string;
  /** Answers that are written at the same time, each with the model's whole context. */
  readonly places: number;
  readonly threads: number;
}

/**
 * Loads a file. Throws ServingError (`no-engine` names the command that installs llama.cpp, `unsupported` where nobody names a licence, `bad-input`
 * for words that a pool's list does not take), and ModelError for a file that is not sound.
 */
export async function openServedFile(path: string, settings: ServedFileSettings): Promise<ServedFile> {
  const { licence: said, places, threads, ...options } = settings;
  const { name, hash, licence, quantisation, created_ms, chat_template } = await openGguf(path, { licence: said });
  const file = parsedFile({ label: name.slice(0, 80), licence: licence!, weights: quantisation });
  const watchers = new Set<(isUp: boolean) => void>();
  const model = { kind: 'gguf', path, hash } as const;
  const engine = await keepEngine(
    { model, name, licence, created_ms, chat_template, places, threads },
    { ...options, onUp: (isUp) => watchers.forEach((tell) => void tell(isUp)) },
  );
  return {
    served: servedBy(engine, hash, file),
    watch(onUp) {
      watchers.add(onUp);
      onUp(engine.pid !== null);
      return () => void watchers.delete(onUp);
    },
    get pid() {
      return engine.pid;
    },
    setThreads: (threads) => engine.setThreads(threads),
    close: () => engine.close(),
  };
}

function parsedFile(file: z.input<typeof OfferedFileSchema>): z.infer<typeof OfferedFileSchema> {
  const parsed = OfferedFileSchema.safeParse(file);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  const hint = path[0] === 'licence' ? '; --licence gives the name of the one that it is under' : '';
  throw new ServingError('bad-input', `the file's ${path.join('.')} does not fit a pool's list: ${message}${hint}`);
}

/** Callers of a pool name the file by its hash, its process knows it by the file's own name. */
function servedBy(engine: KeptEngine, hash: string, file: z.infer<typeof OfferedFileSchema>): ServedModel {
  const { model, class: kind, cache_tokens, places } = engine;
  const { context_tokens, chat, tools } = model;
  const known = (request: AnswerRequest): AnswerRequest => ({ ...request, model: model.name });
  return {
    ...{ hash, quantisation: 'gguf', engine: model.engine, class: kind },
    ...{ context_tokens, cache_tokens, places, chat, tools, file },
    async *answer(request, signal) {
      yield* engine.answer(known(request), signal);
    },
    judge: (task, signal) => engine.judge({ ...task, request: known(task.request) }, signal),
  };
}
