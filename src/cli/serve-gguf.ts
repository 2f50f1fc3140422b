// A GGUF file as `potluck serve` serves it: by llama.cpp in a process of its own, under the file's licence, in the form of conversation that it names.
import { type KeptEngine, keepEngine } from '../serving/kept-engine.ts';
import { openGguf } from '../serving/open-gguf.ts';

export interface GgufSettings {
  readonly name: string;
  readonly threads: number;
  /** Answers that are written at the same time. */
  readonly places: number;
  /** null: what the file says. */
  readonly licence: string | null;
  /** Hears when its engine has ended, and when it is there again. */
  onNews(message: string): void;
}

/** Throws ServingError (`no-engine` names the command that installs llama.cpp, `unsupported` where nobody names a licence) and ModelError. */
export async function openGgufModel(path: string, settings: GgufSettings): Promise<KeptEngine> {
  const { threads, places, licence: said, onNews } = settings;
  const offer = await openGguf(path, { name: settings.name, ...(said !== null && { licence: said }) });
  const { name, hash, licence, created_ms, chat_template } = offer;
  const model = { kind: 'gguf', path, hash } as const;
  return keepEngine({ model, name, licence, created_ms, chat_template, places, threads }, { onNews });
}
