// A teacher behind an OpenAI-compatible endpoint: asks it for texts with the logprobs of their likeliest tokens, and asks again where that may help.
import { z } from 'zod';
import { CodedError, firstIssue } from '../../errors.ts';
import { type Clock, sleep } from '../../protocol/clock.ts';
import { reasonOf } from '../../protocol/line.ts';
import { LIMIT_TOP } from '../../training/soft-shards.ts';

export type TeacherErrorCode =
  /** Nothing answers at the address, also after several tries. */
  | 'teacher-unreachable'
  /** The endpoint refused, and would again; its own words are in the message. */
  | 'teacher-refused'
  /** Something answers that is no such endpoint, or leaves out what was asked for. */
  | 'not-a-teacher'
  /** Its tokens are not the student's. */
  | 'other-tokens'
  | 'bad-argument';

/** The error of distillation from an endpoint. */
export class TeacherError extends CodedError<TeacherErrorCode> {}

/** A token as the endpoint names it. `bytes` is null where its name does not tell them. */
export interface NamedToken {
  readonly bytes: Uint8Array | null;
  readonly name: string;
  readonly logprob: number;
}

/** A token of an answer with the likeliest at its place; none of the first token of a text that was read. */
export interface AnsweredToken extends NamedToken {
  readonly top: readonly NamedToken[];
}

/** What an endpoint answers. */
export interface Answer {
  readonly tokens: readonly AnsweredToken[];
  /** What the endpoint counts, the prompt included; where it counts nothing, the tokens that came. */
  readonly spent_tokens: number;
}

export interface Question {
  readonly prompt: string;
  readonly max_tokens: number;
  /** Whether the prompt's own tokens are wanted before those that are written. */
  readonly echo: boolean;
  readonly seed: number;
}

export interface Teacher {
  readonly model: string;
  /** Throws TeacherError, and the signal's reason. */
  ask(question: Question, signal: AbortSignal): Promise<Answer>;
}

export interface TeacherOptions {
  /** Up to and with `/v1`. */
  readonly base_url: string;
  /** null: the endpoint's first. */
  readonly model: string | null;
  readonly key: string | null;
  readonly clock: Clock;
  readonly onWait?: (sentence: string) => void;
}

/** Answers come whole; a slow device writes a text in minutes. */
const ANSWER_MS = 300_000;
/** A long text with twenty names a token. */
const LIMIT_ANSWER_BYTES = 64 << 20;
/** A request is repeated so often: with waits that double up to half a minute, for a minute and a half, which outlasts a restart. */
const TRIES = 8;
const FIRST_WAIT_MS = 1000;
const LONGEST_OWN_WAIT_MS = 30_000;
/** An endpoint that wants a longer pause is given up: a person should know. */
const LONGEST_WAIT_MS = 60_000;
/** What the clients of OpenAI repeat too. */
const AGAIN: ReadonlySet<number> = new Set([408, 409, 429]);

const logprob = z.number().max(0.01);
const ContentSchema = z.looseObject({
  content: z.array(
    z.looseObject({
      token: z.string(),
      bytes: z.array(z.int().min(0).max(255)).nullish(),
      logprob,
      top_logprobs: z
        .array(z.looseObject({ token: z.string(), bytes: z.array(z.int().min(0).max(255)).nullish(), logprob }))
        .default([]),
    }),
  ),
});
const ListsSchema = z.looseObject({
  tokens: z.array(z.string()),
  token_logprobs: z.array(logprob.nullable()),
  top_logprobs: z.array(z.record(z.string(), logprob).nullable()),
});
const AnswerSchema = z.looseObject({
  choices: z.array(z.looseObject({ logprobs: z.union([ContentSchema, ListsSchema]) })).length(1),
  usage: z.looseObject({ total_tokens: z.int().nonnegative() }).nullish(),
});
const ModelsSchema = z.looseObject({ data: z.array(z.looseObject({ id: z.string() })).min(1) });
const RefusalSchema = z.looseObject({ error: z.union([z.string(), z.looseObject({ message: z.string() })]) });

/** Opens a teacher; without a model's name it asks for the first that is offered. Throws TeacherError. */
export async function openTeacher(options: TeacherOptions, signal: AbortSignal): Promise<Teacher> {
  const post = caller(options);
  const model = options.model ?? (await firstModel(post, options.base_url, signal));
  return {
    model,
    async ask({ prompt, max_tokens, echo, seed }, signal) {
      const body = { model, prompt, max_tokens, echo, seed, temperature: 1, top_p: 1, logprobs: LIMIT_TOP };
      const parsed = AnswerSchema.safeParse(await post('completions', body, signal));
      if (!parsed.success) {
        const fact = firstIssue(parsed.error);
        throw new TeacherError(
          'not-a-teacher',
          `${options.base_url}: expected an answer with logprobs, got none that fit: ${fact}`,
        );
      }
      const [{ logprobs }] = parsed.data.choices;
      const tokens =
        'content' in logprobs
          ? fromContent(logprobs as z.infer<typeof ContentSchema>)
          : fromLists(logprobs as z.infer<typeof ListsSchema>, options.base_url);
      return { tokens, spent_tokens: parsed.data.usage?.total_tokens ?? tokens.length };
    },
  };
}

type Post = (path: string, body: object | null, signal: AbortSignal) => Promise<unknown>;

async function firstModel(post: Post, base_url: string, signal: AbortSignal): Promise<string> {
  const parsed = ModelsSchema.safeParse(await post('models', null, signal));
  if (parsed.success) return parsed.data.data[0].id;
  throw new TeacherError(
    'not-a-teacher',
    `${base_url}: expected a list of models at /models; is the address one that ends with /v1?`,
  );
}

/** Newer endpoints name the bytes of each token. */
function fromContent({ content }: z.infer<typeof ContentSchema>): AnsweredToken[] {
  const named = ({
    token,
    bytes,
    logprob,
  }: {
    token: string;
    bytes?: number[] | null;
    logprob: number;
  }): NamedToken => ({
    bytes: bytes ? Uint8Array.from(bytes) : bytesOfName(token),
    name: token,
    logprob,
  });
  return content.map((token) => ({ ...named(token), top: token.top_logprobs.map(named) }));
}

/** Parallel lists, the older form. */
function fromLists(
  { tokens, token_logprobs, top_logprobs }: z.infer<typeof ListsSchema>,
  url: string,
): AnsweredToken[] {
  if (token_logprobs.length !== tokens.length || top_logprobs.length !== tokens.length) {
    const lengths = `${tokens.length}, ${token_logprobs.length} and ${top_logprobs.length}`;
    throw new TeacherError('not-a-teacher', `${url}: expected as many logprobs as tokens, got lists of ${lengths}`);
  }
  const named = (name: string, logprob: number): NamedToken => ({ bytes: bytesOfName(name), name, logprob });
  return tokens.map((name, i) => ({
    ...named(name, token_logprobs[i] ?? 0),
    top: Object.entries(top_logprobs[i] ?? {}).map(([other, logprob]) => named(other, logprob)),
  }));
}

/** The bytes of a token by its name: text, or `bytes:\xe2\x82` for what is no whole character. null where a character got lost. */
function bytesOfName(name: string): Uint8Array | null {
  if (/^bytes:(\\x[0-9a-f]{2})+$/i.test(name)) {
    return Uint8Array.from(name.slice('bytes:'.length).split('\\x').slice(1), (hex) => Number.parseInt(hex, 16));
  }
  return name.includes('\ufffd') ? null : new TextEncoder().encode(name);
}

/** Sends requests, and sends them again after a wait where the endpoint is away, busy or restarting. */
function caller({ base_url, key, clock, onWait }: TeacherOptions): Post {
  return async (path, body, signal) => {
    for (let attempt = 1; ; attempt++) {
      const outcome = await once(`${base_url}/${path}`, key, body, signal);
      if ('json' in outcome) return outcome.json;
      signal.throwIfAborted();
      const own_ms = Math.min(LONGEST_OWN_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1));
      const wait_ms = outcome.retry_after_ms ?? own_ms;
      if (!outcome.again || attempt === TRIES || wait_ms > LONGEST_WAIT_MS) throw outcome.error;
      onWait?.(`${outcome.error.message}; asking again in ${Math.ceil(wait_ms / 1000)} s`);
      await sleep(clock, wait_ms);
      signal.throwIfAborted();
    }
  };
}

type Outcome =
  | { readonly json: unknown }
  | { readonly error: TeacherError; readonly again: boolean; readonly retry_after_ms: number | null };

async function once(url: string, key: string | null, body: object | null, signal: AbortSignal): Promise<Outcome> {
  const failed = (
    code: TeacherErrorCode,
    fact: string,
    again: boolean,
    retry_after_ms: number | null = null,
  ): Outcome => ({
    error: new TeacherError(code, fact),
    again,
    retry_after_ms,
  });
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: body ? 'POST' : 'GET',
      headers: { ...(body && { 'content-type': 'application/json' }), ...(key && { authorization: `Bearer ${key}` }) },
      body: body && JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    });
    text = await limitedText(response);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof TeacherError) throw error;
    return failed('teacher-unreachable', `nothing answers at ${url}: ${absenceOf(error)}`, true);
  }
  const json = jsonOf(text);
  if (response.ok) {
    if (json !== undefined) return { json };
    return failed('not-a-teacher', `${url}: expected JSON, got ${JSON.stringify(text.slice(0, 60))}`, false);
  }
  const { status } = response;
  const refusal = RefusalSchema.safeParse(json);
  const said = refusal.success ? refusal.data.error : '';
  const words = typeof said === 'string' ? said : said.message;
  const fact = `${url} refused with ${status}${words && `: ${words.slice(0, 300)}`}`;
  const hopeless = response.headers.get('x-should-retry') === 'false';
  return failed(
    'teacher-refused',
    fact,
    (AGAIN.has(status) || status >= 500) && !hopeless,
    retryAfter_ms(response.headers),
  );
}

/** What the endpoint asks to wait; null where it does not say. A date is not understood: it would need its clock. */
function retryAfter_ms(headers: Headers): number | null {
  const ms = Number(headers.get('retry-after-ms') ?? Number.NaN);
  if (ms >= 0) return ms;
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return seconds >= 0 ? seconds * 1000 : null;
}

async function limitedText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let size = 0;
  let text = '';
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > LIMIT_ANSWER_BYTES) {
      throw new TeacherError('not-a-teacher', `${response.url}: an answer of more than ${LIMIT_ANSWER_BYTES} bytes`);
    }
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function absenceOf(error: unknown): string {
  const tooLate = error instanceof Error && error.name === 'TimeoutError';
  return tooLate ? `no answer within ${ANSWER_MS / 1000} s` : reasonOf(error);
}
