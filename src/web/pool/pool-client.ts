// The pool behind this hub, by its OpenAI-compatible API: which models it has, and what they write, piece by piece.
import { z } from 'zod';
import { CodedError } from '../../errors.ts';
import { eventsOf, jsonIn, piecesOf } from '../../serving/api/event-reader.ts';
import type { WriteOrder } from '../play/play-messages.ts';

export interface PoolModel {
  readonly name: string;
  readonly hash: string;
  readonly quantisation: string;
  /** Whether it takes part in conversations; otherwise it goes on with texts. */
  readonly chat: boolean;
}

/** What this hub's API says: its models, that it asks for a key, or that there is no API. */
export type PoolModels =
  | { readonly kind: 'models'; readonly models: readonly PoolModel[]; readonly left: QuotaLeft }
  | { readonly kind: 'key-needed' }
  | { readonly kind: 'none' };

/** What the caller may still ask in this minute, and of how much; null: as much as there is. */
export interface QuotaLeft {
  readonly requests: readonly [left: number, limit: number] | null;
  readonly tokens: readonly [left: number, limit: number] | null;
}

export interface ChatTurn {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

/** How tokens are drawn, in OpenAI's words. */
export type Drawing = Pick<WriteOrder, 'max_tokens' | 'temperature' | 'top_p' | 'seed'>;

export interface PoolEnd {
  readonly prompt_tokens: number;
  readonly written_tokens: number;
  /** Whether the model ended the text by itself. */
  readonly end_of_text: boolean;
}

/** Where to ask, and the API key that is sent along; none where it is empty. */
export interface PoolAddress {
  readonly base_url: string;
  readonly key: string;
}

/** The pool did not answer; its message is a sentence for people. */
export class PoolError extends CodedError<'pool-refused' | 'pool-away'> {}

const ModelsSchema = z.object({
  data: z.array(
    z.object({
      ...{ id: z.string(), hash: z.string(), quantisation: z.string() },
      capabilities: z.object({ chat: z.boolean() }),
    }),
  ),
});
const RefusalSchema = z.object({ error: z.object({ message: z.string() }) });
const ChunkSchema = z.object({
  choices: z.array(
    z.object({
      text: z.string().optional(),
      delta: z.object({ content: z.string().nullish() }).optional(),
      finish_reason: z.string().nullish(),
    }),
  ),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.int() }).nullish(),
});

const headersFor = (key: string): Record<string, string> => (key ? { authorization: `Bearer ${key}` } : {});

export async function poolModels({ base_url, key }: PoolAddress): Promise<PoolModels> {
  const response = await fetch(`${base_url}/models`, { headers: headersFor(key) }).catch(() => null);
  if (response?.status === 401) return { kind: 'key-needed' };
  const found = ModelsSchema.safeParse(await response?.json().catch(() => null));
  if (!response?.ok || !found.success) return { kind: 'none' };
  const models = found.data.data.map(({ id, hash, quantisation, capabilities }) => ({
    ...{ name: id, hash, quantisation, chat: capabilities.chat },
  }));
  const left = (of: string): [number, number] | null => {
    const [now, limit] = ['remaining', 'limit'].map((word) => response.headers.get(`x-ratelimit-${word}-${of}`));
    return now === null || limit === null ? null : [Number(now), Number(limit)];
  };
  return { kind: 'models', models, left: { requests: left('requests'), tokens: left('tokens') } };
}

/** Streams what a model writes behind a beginning. Throws PoolError, or the signal's reason. */
export const poolText = (at: PoolAddress, model: string, order: WriteOrder, signal: AbortSignal) => {
  const { prompt } = order;
  return streamed(at, 'completions', { model, prompt, ...drawingOf(order) }, signal);
};

/** Streams what a model answers in a conversation. Throws PoolError, or the signal's reason. */
export const poolChat = (
  at: PoolAddress,
  model: string,
  messages: readonly ChatTurn[],
  drawing: Drawing,
  signal: AbortSignal,
) => streamed(at, 'chat/completions', { model, messages, ...drawingOf(drawing) }, signal);

const drawingOf = ({ max_tokens, temperature, top_p, seed }: Drawing) => ({ max_tokens, temperature, top_p, seed });

async function* streamed(
  { base_url, key }: PoolAddress,
  path: string,
  request: object,
  signal: AbortSignal,
): AsyncGenerator<string, PoolEnd> {
  const body = JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } });
  const headers = { 'content-type': 'application/json', ...headersFor(key) };
  const response = await fetch(`${base_url}/${path}`, { method: 'POST', headers, body, signal }).catch(() => {
    signal.throwIfAborted();
    throw new PoolError('pool-away', 'The hub does not answer.');
  });
  if (!response.ok) throw refused(await response.json().catch(() => null), response.status);
  let usage = { prompt_tokens: 0, completion_tokens: 0 };
  let reason = '';
  const lost = (): PoolError => new PoolError('pool-away', 'The connection to the hub broke off.');
  for await (const data of eventsOf(piecesOf(response.body!, signal, lost))) {
    if (data === '[DONE]') break;
    const json = jsonIn(data);
    const chunk = ChunkSchema.safeParse(json);
    if (json === null) throw new PoolError('pool-refused', 'The hub sent something that is no part of an answer.');
    if (!chunk.success) throw refused(json, response.status);
    usage = chunk.data.usage ?? usage;
    const [choice] = chunk.data.choices;
    reason = choice?.finish_reason ?? reason;
    const text = choice?.text ?? choice?.delta?.content;
    if (text) yield text;
  }
  if (reason === '') throw new PoolError('pool-away', 'The answer broke off.');
  const { prompt_tokens, completion_tokens: written_tokens } = usage;
  return { prompt_tokens, written_tokens, end_of_text: reason === 'stop' };
}

const refused = (json: unknown, status: number): PoolError => {
  const said = RefusalSchema.safeParse(json);
  return new PoolError('pool-refused', said.success ? said.data.error.message : `The hub answered ${status}.`, {
    status,
  });
};
