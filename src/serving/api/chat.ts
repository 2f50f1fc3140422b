// POST /v1/chat/completions: the answers as one object, or as a stream of chunks.
import { z } from 'zod';
import type { AnswerRequest, OfferedModel } from '../answers.ts';
import type { ChoiceEvent } from './choices.ts';
import { eventOf } from './event-stream.ts';
import { type ListedLogprob, listedLogprob, TokenLogprobSchema } from './logprobs.ts';
import { countingUsage, UsageSchema } from './usage.ts';

const count = z.int();
const CallSchema = z.strictObject({
  id: z.string(),
  type: z.literal('function'),
  function: z.strictObject({ name: z.string(), arguments: z.string() }),
});
const LogprobsSchema = z.strictObject({ content: z.array(TokenLogprobSchema), refusal: z.null() }).nullable();
export const FINISH_REASONS = ['stop', 'length', 'tool_calls'] as const;
type FinishReason = (typeof FINISH_REASONS)[number];

/** What all objects and chunks of one answer begin with. */
const heading = {
  id: z.string(),
  /** Seconds since 1970. */
  created: count,
  model: z.string(),
  /** Engine, quantisation and the model's hash. */
  system_fingerprint: z.string(),
};

export const ChatCompletionSchema = z.strictObject({
  ...heading,
  object: z.literal('chat.completion'),
  choices: z.array(
    z.strictObject({
      index: count,
      message: z.strictObject({
        role: z.literal('assistant'),
        content: z.string().nullable(),
        refusal: z.null(),
        tool_calls: z.array(CallSchema).optional(),
      }),
      logprobs: LogprobsSchema,
      finish_reason: z.enum(FINISH_REASONS),
    }),
  ),
  usage: UsageSchema,
});
export type ChatCompletion = z.infer<typeof ChatCompletionSchema>;

export const ChatChunkSchema = z.strictObject({
  ...heading,
  object: z.literal('chat.completion.chunk'),
  choices: z.array(
    z.strictObject({
      index: count,
      delta: z.strictObject({
        role: z.literal('assistant').optional(),
        content: z.string().optional(),
        tool_calls: z.array(CallSchema.extend({ index: count })).optional(),
      }),
      logprobs: LogprobsSchema,
      finish_reason: z.enum(FINISH_REASONS).nullable(),
    }),
  ),
  usage: UsageSchema.nullable().optional(),
});
type ChatChunk = z.infer<typeof ChatChunkSchema>;

export type Heading = Pick<ChatCompletion, keyof typeof heading>;

export const fingerprintOf = ({ engine, quantisation, hash }: OfferedModel): string =>
  `${engine}-${quantisation}-${hash.slice(0, 12)}`;

/** A number a call, unlike those of all others: `id` of the answer, its choice and which of its calls. */
const callId = (answer: string, choice: number, call: number): string =>
  `call_${answer.replace(/^chatcmpl-/, '')}_${choice}_${call}`;

const logprobsOf = (listed: readonly ListedLogprob[], wanted: boolean): z.infer<typeof LogprobsSchema> =>
  wanted ? { content: [...listed], refusal: null } : null;

/** The whole answer. */
export async function chatCompletion(
  heading: Heading,
  requests: readonly AnswerRequest[],
  events: AsyncIterable<ChoiceEvent>,
): Promise<ChatCompletion> {
  const usage = countingUsage(requests);
  const wanted = requests[0].top_logprobs !== null;
  const choices = requests.map(() => ({
    text: '',
    logprobs: [] as ListedLogprob[],
    calls: [] as z.infer<typeof CallSchema>[],
    reason: 'stop' as FinishReason,
  }));
  for await (const found of events) {
    usage.note(found);
    const { choice: index, event } = found;
    const choice = choices[index];
    if (event.kind === 'token' || event.kind === 'ended') choice.text += event.text;
    if (event.kind === 'token' && wanted) choice.logprobs.push(...listOf(listedLogprob(event)));
    if (event.kind === 'ended') choice.reason = event.reason;
    if (event.kind !== 'tool_call') continue;
    const { name, arguments: given } = event;
    const id = callId(heading.id, index, choice.calls.length);
    choice.calls.push({ id, type: 'function', function: { name, arguments: given } });
  }
  return {
    ...heading,
    object: 'chat.completion',
    choices: choices.map(({ text, logprobs, calls, reason }, index) => ({
      index,
      message: {
        role: 'assistant',
        content: calls.length > 0 && text === '' ? null : text,
        refusal: null,
        ...(calls.length > 0 && { tool_calls: calls }),
      },
      logprobs: logprobsOf(logprobs, wanted),
      finish_reason: reason,
    })),
    usage: usage.total(),
  };
}

const listOf = <T>(value: T | null): T[] => (value === null ? [] : [value]);

/** The same as texts of server-sent events; `with_usage`: a last chunk without choices counts the tokens. */
export async function* chatChunks(
  heading: Heading,
  requests: readonly AnswerRequest[],
  events: AsyncIterable<ChoiceEvent>,
  with_usage: boolean,
): AsyncGenerator<string> {
  const usage = countingUsage(requests);
  const wanted = requests[0].top_logprobs !== null;
  const calls = requests.map(() => 0);
  const chunk = (index: number, delta: ChatChunk['choices'][number]['delta'], end: FinishReason | null = null) =>
    chunkOf([{ index, delta, logprobs: null, finish_reason: end }]);
  const chunkOf = (choices: ChatChunk['choices']): string =>
    eventOf({
      ...heading,
      object: 'chat.completion.chunk',
      choices,
      ...(with_usage && { usage: null }),
    } satisfies ChatChunk);
  for await (const found of events) {
    usage.note(found);
    const { choice: index, event } = found;
    switch (event.kind) {
      case 'begun':
        yield chunk(index, { role: 'assistant', content: '' });
        break;
      case 'token': {
        const content = wanted ? listOf(listedLogprob(event)) : [];
        if (event.text === '' && content.length === 0) break;
        const delta = { content: event.text };
        yield chunkOf([{ index, delta, logprobs: logprobsOf(content, wanted), finish_reason: null }]);
        break;
      }
      case 'tool_call': {
        const { name, arguments: given } = event;
        const place = calls[index]++;
        const call = { id: callId(heading.id, index, place), type: 'function' as const, index: place };
        yield chunk(index, { tool_calls: [{ ...call, function: { name, arguments: given } }] });
        break;
      }
      case 'ended':
        if (event.text !== '') yield chunk(index, { content: event.text });
        yield chunk(index, {}, event.reason);
    }
  }
  if (with_usage) {
    yield eventOf({
      ...heading,
      object: 'chat.completion.chunk',
      choices: [],
      usage: usage.total(),
    } satisfies ChatChunk);
  }
  yield DONE;
}

/** How a stream of OpenAI's ends. */
export const DONE = 'data: [DONE]\n\n';
