// A GGUF file as `potluck serve` serves it: by llama.cpp, under its own licence, with the form of conversation that the file names.
import { availableParallelism } from 'node:os';
import { readGgufHeader } from '../model/gguf-header.ts';
import type { ServedModel } from '../serving/answer-server.ts';
import { chatOf } from '../serving/chat.ts';
import { openLlamaEngine } from '../serving/engine-llama.ts';
import { openGguf } from '../serving/open-gguf.ts';
import { mostThreads } from '../serving/serving-threads.ts';

export interface GgufSettings {
  readonly name: string;
  readonly threads: number;
  /** Answers that are written at the same time. */
  readonly places: number;
  /** null: what the file says. */
  readonly licence: string | null;
}

/** Throws ServingError (`no-engine` names the command that installs llama.cpp, `unsupported` where nobody names a licence) and ModelError. */
export async function openGgufModel(path: string, settings: GgufSettings): Promise<ServedModel> {
  const { name, threads, places, licence } = settings;
  const offer = await openGguf(path, { name, ...(licence !== null && { licence }) });
  const header = await readGgufHeader(path);
  const engine = await openLlamaEngine(path, {
    ...{ hash: offer.hash, sequences: places },
    threads: Math.min(threads, mostThreads(availableParallelism())),
  });
  const template = header.metadata.get('tokenizer.chat_template');
  const chat = chatOf(typeof template === 'string' ? template : null, engine.model.tokens);
  return { engine, name: offer.name, licence: offer.licence, created_ms: offer.created_ms, ...chat };
}
