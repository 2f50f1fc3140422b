// A conversation with any server that speaks OpenAI's chat completions: its models, and an answer in pieces as they come.
import { z } from 'zod';
import { eventsOf, jsonIn, piecesOf } from '../serving/api/event-reader.ts';
import { CliError } from './output.ts';

export interface Endpoint {
  readonly base_url: string;
  /** null: the server needs none. */
  readonly key: string | null;
}

export interface Turn {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface ChatSettings {
  readonly model: string;
  readonly max_tokens?: number;
  readonly temperature?: number;
  readonly seed?: number;
}

/** The end of an answer, with what the server counted. */
export interface AnswerEnd {
  readonly finish_reason: string | null;
  readonly prompt_tokens: number | null;
  readonly completion_tokens: number | null;
}

const ErrorSchema = z.object({ error: z.object({ message: z.string(), code: z.string().nullish() }) });
const ChunkSchema = z.object({
  choices: z.array(
    z.object({ delta: z.object({ content: z.string().nullish() }), finish_reason: z.string().nullish() }),
  ),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.int() }).nullish(),
});
const ModelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });

/** The names of a server's models. Throws CliError `no-server`, `refused`. */
export async function modelsAt(endpoint: Endpoint): Promise<string[]> {
  const response = await ask(endpoint, 'models', {});
  const parsed = ModelsSchema.safeParse(await response.json().catch(() => null));
  if (parsed.success) return parsed.data.data.map(({ id }) => id);
  throw new CliError('no-server', `${endpoint.base_url} does not answer as the OpenAI API does`);
}

/** Streams an answer. Throws CliError `no-server`, `refused` (the server's own code in its details), or the signal's reason. */
export async function* chatAnswer(
  endpoint: Endpoint,
  settings: ChatSettings,
  messages: readonly Turn[],
  signal: AbortSignal,
): AsyncGenerator<string, AnswerEnd> {
  const body = JSON.stringify({ ...settings, messages, stream: true, stream_options: { include_usage: true } });
  const response = await ask(endpoint, 'chat/completions', {
    ...{ method: 'POST', body, signal },
    headers: { 'content-type': 'application/json' },
  });
  let finish_reason: string | null = null;
  let usage: { prompt_tokens: number; completion_tokens: number } | null = null;
  const lost = (): CliError =>
    new CliError('no-server', `the connection to ${endpoint.base_url} was lost in the middle of the answer`);
  for await (const data of eventsOf(piecesOf(response.body!, signal, lost))) {
    if (data === '[DONE]') break;
    const json = jsonIn(data);
    const failure = ErrorSchema.safeParse(json);
    if (failure.success) throw refusal(failure.data.error);
    const chunk = ChunkSchema.safeParse(json);
    if (!chunk.success) throw new CliError('no-server', 'the server sent an event that is no part of an answer');
    usage = chunk.data.usage ?? usage;
    const [choice] = chunk.data.choices;
    finish_reason = choice?.finish_reason ?? finish_reason;
    if (choice?.delta.content) yield choice.delta.content;
  }
  if (finish_reason === null) throw new CliError('no-server', 'the answer broke off');
  return {
    finish_reason,
    prompt_tokens: usage?.prompt_tokens ?? null,
    completion_tokens: usage?.completion_tokens ?? null,
  };
}

async function ask({ base_url, key }: Endpoint, path: string, init: RequestInit): Promise<Response> {
  const headers = { ...init.headers, ...(key !== null && { authorization: `Bearer ${key}` }) };
  let response: Response;
  try {
    response = await fetch(`${base_url}/${path}`, { ...init, headers });
  } catch (error) {
    init.signal?.throwIfAborted();
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new CliError('no-server', `nothing answers at ${base_url}: ${cause || 'no connection'}`);
  }
  if (response.ok) return response;
  const failure = ErrorSchema.safeParse(await response.json().catch(() => null));
  throw failure.success
    ? refusal(failure.data.error)
    : new CliError('no-server', `${base_url} answered ${response.status}, and not as the OpenAI API does`);
}

const refusal = ({ message, code }: { message: string; code?: string | null }): CliError =>
  new CliError('refused', message, { code: code ?? null });
