// Any GGUF file by its hash, with its licence: what this device may offer of a model that no run trained.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type GgufHeader, readGgufHeader } from '../model/gguf-header.ts';
import { GGML_TYPES } from '../model/gguf-types.ts';
import type { OfferedModel } from './answers.ts';
import { recogniseTemplate } from './chat-templates.ts';
import { ServingError } from './errors.ts';
import { ggufTokens } from './gguf-tokens.ts';

const LIMITS = {
  train_tokens: 16_777_216,
  name_characters: 200,
  licence_characters: 100_000, // the longest in wide use have 35,000
} as const;

/**
 * What an engine needs of a file's metadata: the most tokens of a text. Throws ServingError `corrupt-file`, `unsupported`, `too-large`,
 * also for lists of tokens that do not fit each other.
 */
export function checkGguf(header: GgufHeader): { readonly train_tokens: number } {
  const { metadata, tensors } = header;
  const architecture = metadata.get('general.architecture');
  if (typeof architecture !== 'string') throw new ServingError('corrupt-file', 'GGUF: general.architecture is missing');
  const train_tokens = metadata.get(`${architecture}.context_length`);
  const isCount = typeof train_tokens === 'number' && Number.isInteger(train_tokens) && train_tokens >= 1;
  if (!isCount || train_tokens > LIMITS.train_tokens) {
    const fact = `${architecture}.context_length is ${train_tokens}, expected an integer in 1..${LIMITS.train_tokens}`;
    throw new ServingError('corrupt-file', `GGUF: ${fact}`);
  }
  const { texts } = ggufTokens(header);
  const embedding = tensors.find(({ name }) => name === 'token_embd.weight');
  if (embedding?.dimensions[1] !== texts.length) {
    const fact = `token_embd.weight has ${embedding?.dimensions[1] ?? 0} rows for ${texts.length} tokens`;
    throw new ServingError('corrupt-file', `GGUF: ${fact}`);
  }
  return { train_tokens };
}

/** The type that takes most of a file's bytes, which is what people call its quantisation. */
export function quantisationOf({ tensors }: Pick<GgufHeader, 'tensors'>): string {
  const bytes = new Map([...GGML_TYPES.values()].map(({ name }) => [name, 0]));
  for (const { type, start, end } of tensors) bytes.set(type, bytes.get(type)! + end - start);
  const [[name]] = [...bytes].sort((a, b) => b[1] - a[1]);
  return name;
}

export interface OpenGgufOptions {
  /** The licence's text or name, where the file does not name one. */
  readonly licence?: string;
  /** What callers name the model by; by default what the file calls itself, or its own name. */
  readonly name?: string;
  /** Tokens of one sequence, at most the model's own. */
  readonly context_tokens?: number;
}

/** What a file offers, and the chat template that it names. */
export interface OfferedGguf extends OfferedModel {
  readonly chat_template: string | null;
}

/**
 * What a file offers. Throws ServingError `unsupported` where nobody names its licence, and whatever makes the file unfit for an engine;
 * ModelError for a header that is not sound.
 */
export async function openGguf(path: string, options: OpenGgufOptions = {}): Promise<OfferedGguf> {
  const header = await readGgufHeader(path);
  const { train_tokens } = checkGguf(header);
  const text = (key: string): string | undefined => {
    const value = header.metadata.get(key);
    return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
  };
  const licence = options.licence?.trim() || text('general.license');
  if (!licence) {
    const fact = 'the file names no licence (general.license)';
    throw new ServingError('unsupported', `GGUF: ${fact}; a model is offered only with one: give its text`);
  }
  if (licence.length > LIMITS.licence_characters) {
    throw new ServingError(
      'too-large',
      `the licence has ${licence.length} characters, at most ${LIMITS.licence_characters}`,
    );
  }
  const { context_tokens = train_tokens } = options;
  if (!Number.isInteger(context_tokens) || context_tokens < 1 || context_tokens > train_tokens) {
    throw new ServingError('bad-input', `context_tokens ${context_tokens}, expected an integer in 1..${train_tokens}`);
  }
  const chat_template = text('tokenizer.chat_template') ?? null;
  const name = options.name ?? text('general.name') ?? basename(path, '.gguf');
  return {
    name: name.slice(0, LIMITS.name_characters),
    hash: await hashOfFile(path),
    quantisation: quantisationOf(header),
    engine: 'llama.cpp',
    context_tokens,
    created_ms: Math.floor((await stat(path)).mtimeMs),
    licence,
    // A model without a template is talked to in plain words.
    chat: chat_template === null || recogniseTemplate(chat_template) !== null,
    tools: false,
    embeddings: false,
    chat_template,
  };
}

/** Throws ServingError `corrupt-file` for a file that is no longer the one of this hash, or cannot be read; callers may read why, and learn no path. */
export async function checkHash(path: string, hash: string): Promise<void> {
  const now = await hashOfFile(path).catch(({ code }: NodeJS.ErrnoException) => code ?? 'an error');
  if (now === hash) return;
  throw new ServingError('corrupt-file', `the file is no longer the one that was offered: SHA-256 ${hash}, got ${now}`);
}

async function hashOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(piece as Uint8Array);
  return hash.digest('hex');
}
