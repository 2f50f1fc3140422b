// POST /v1/responses: an answer as a list of items, or as the typed events by which such a list grows.
import { z } from 'zod';
import type { AnswerRequest } from '../answers.ts';
import type { ChoiceEvent } from './choices.ts';
import { eventOf } from './event-stream.ts';
import { type ListedLogprob, listedLogprob, TokenLogprobSchema } from './logprobs.ts';
import type { ResponseRequest } from './responses-request.ts';
import { countingUsage } from './usage.ts';

const status = z.enum(['in_progress', 'completed', 'incomplete', 'failed']);
const TextSchema = z.strictObject({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(z.never()),
  logprobs: z.array(TokenLogprobSchema),
});
const MessageSchema = z.strictObject({
  id: z.string(),
  type: z.literal('message'),
  status,
  role: z.literal('assistant'),
  content: z.array(TextSchema),
});
const CallSchema = z.strictObject({
  id: z.string(),
  type: z.literal('function_call'),
  status,
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
});
type Message = z.infer<typeof MessageSchema>;
type Call = z.infer<typeof CallSchema>;

export const ResponseSchema = z.strictObject({
  id: z.string(),
  object: z.literal('response'),
  created_at: z.int(),
  status,
  error: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
  incomplete_details: z.strictObject({ reason: z.literal('max_output_tokens') }).nullable(),
  instructions: z.string().nullable(),
  max_output_tokens: z.int().nullable(),
  model: z.string(),
  output: z.array(z.union([MessageSchema, CallSchema])),
  parallel_tool_calls: z.boolean(),
  previous_response_id: z.null(),
  store: z.literal(false),
  temperature: z.number(),
  text: z.looseObject({}),
  tool_choice: z.unknown(),
  tools: z.array(z.unknown()),
  top_p: z.number(),
  truncation: z.literal('disabled'),
  metadata: z.record(z.string(), z.string()),
  usage: z
    .strictObject({
      input_tokens: z.int(),
      output_tokens: z.int(),
      total_tokens: z.int(),
    })
    .nullable(),
});
export type ApiResponse = z.infer<typeof ResponseSchema>;

/** An event before it gets its number. */
interface TypedEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** The answer before anything is written. */
export function emptyResponse(
  id: string,
  created_at: number,
  request: ResponseRequest,
  answer: AnswerRequest,
): ApiResponse {
  return {
    ...{ id, object: 'response', created_at, status: 'in_progress', error: null, incomplete_details: null },
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    ...{ model: answer.model, output: [] },
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    ...{ previous_response_id: null, store: false },
    temperature: answer.sampling.temperature,
    text: { format: request.text?.format ?? { type: 'text' } },
    tool_choice: request.tool_choice ?? 'auto',
    tools: request.tools ?? [],
    top_p: answer.sampling.top_p,
    truncation: 'disabled',
    metadata: request.metadata ?? {},
    usage: null,
  };
}

/** The typed events of an answer. The first comes as soon as it has begun, the last has the whole response. */
async function* typedEvents(
  empty: ApiResponse,
  answer: AnswerRequest,
  events: AsyncIterable<ChoiceEvent>,
): AsyncGenerator<TypedEvent, ApiResponse> {
  const usage = countingUsage([answer]);
  const output: (Message | Call)[] = [];
  const key = empty.id.replace(/^resp_/, '');
  let message: Message | null = null;
  const said: ListedLogprob[] = [];
  let reason: 'stop' | 'length' | 'tool_calls' = 'stop';

  function* openMessage(): Generator<TypedEvent, Message> {
    const content: Message['content'] = [];
    const begun: Message = { id: `msg_${key}`, type: 'message', status: 'in_progress', role: 'assistant', content };
    const output_index = output.length;
    yield { type: 'response.output_item.added', output_index, item: begun };
    const part = { type: 'output_text' as const, text: '', annotations: [], logprobs: said };
    yield { type: 'response.content_part.added', ...placeOf(begun, output_index), part: { ...part, logprobs: [] } };
    const opened = { ...begun, content: [part] };
    output.push(opened);
    return opened;
  }

  for await (const found of events) {
    usage.note(found);
    const { event } = found;
    if (event.kind === 'begun') {
      yield { type: 'response.created', response: empty };
      yield { type: 'response.in_progress', response: empty };
    }
    if (event.kind === 'token' || event.kind === 'ended') {
      const listed = event.kind === 'token' ? listedLogprob(event) : null;
      if (event.text !== '' || listed !== null) {
        message ??= yield* openMessage();
        message.content[0].text += event.text;
        if (listed !== null) said.push(listed);
        const place = placeOf(message, output.indexOf(message));
        const logprobs = listed === null ? [] : [listed];
        yield { type: 'response.output_text.delta', ...place, delta: event.text, logprobs };
      }
    }
    if (event.kind === 'tool_call') {
      const call_id = `call_${key}_${output.length}`;
      const call: Call = {
        ...{ id: `fc_${key}_${output.length}`, type: 'function_call', status: 'completed', call_id },
        ...{ name: event.name, arguments: event.arguments },
      };
      yield* callEvents(call, output.length);
      output.push(call);
    }
    if (event.kind === 'ended') reason = event.reason;
  }
  const finished = reason === 'length' ? 'incomplete' : 'completed';
  // An answer without a word is a message without a word, and no list of nothing.
  if (message === null && output.length === 0) message = yield* openMessage();
  if (message !== null) {
    message.status = finished;
    yield* messageEnds(message, output.indexOf(message));
  }
  const { prompt_tokens, completion_tokens, total_tokens } = usage.total();
  const response: ApiResponse = {
    ...empty,
    status: finished,
    incomplete_details: reason === 'length' ? { reason: 'max_output_tokens' } : null,
    output,
    usage: {
      input_tokens: prompt_tokens,
      output_tokens: completion_tokens,
      total_tokens,
    },
  };
  yield { type: `response.${finished}`, response };
  return response;
}

const placeOf = ({ id }: Message, output_index: number) => ({ item_id: id, output_index, content_index: 0 });

function* messageEnds(message: Message, output_index: number): Generator<TypedEvent> {
  const [part] = message.content;
  const place = placeOf(message, output_index);
  yield { type: 'response.output_text.done', ...place, text: part.text, logprobs: part.logprobs };
  yield { type: 'response.content_part.done', ...place, part };
  yield { type: 'response.output_item.done', output_index, item: message };
}

function* callEvents(call: Call, output_index: number): Generator<TypedEvent> {
  const { id: item_id, name, arguments: given } = call;
  const begun = { ...call, status: 'in_progress', arguments: '' };
  yield { type: 'response.output_item.added', output_index, item: begun };
  yield { type: 'response.function_call_arguments.delta', item_id, output_index, delta: given };
  yield { type: 'response.function_call_arguments.done', item_id, output_index, name, arguments: given };
  yield { type: 'response.output_item.done', output_index, item: call };
}

/** The whole response. */
export async function wholeResponse(
  empty: ApiResponse,
  answer: AnswerRequest,
  events: AsyncIterable<ChoiceEvent>,
): Promise<ApiResponse> {
  const stream = typedEvents(empty, answer, events);
  for (;;) {
    const next = await stream.next();
    if (next.done) return next.value;
  }
}

/** The same as texts of server-sent events, numbered. */
export async function* responseEvents(
  empty: ApiResponse,
  answer: AnswerRequest,
  events: AsyncIterable<ChoiceEvent>,
  counter: EventCounter,
): AsyncGenerator<string> {
  for await (const event of typedEvents(empty, answer, events)) yield numbered(event, counter);
}

/** Numbers the events of one stream. */
export interface EventCounter {
  next: number;
}

const numbered = ({ type, ...fields }: TypedEvent, counter: EventCounter): string =>
  eventOf({ type, sequence_number: counter.next++, ...fields }, type);

/** The end of a stream in which something went wrong. Whoever waits for `response.completed` learns that it does not come. */
export function failedResponse(empty: ApiResponse, counter: EventCounter, code: string, message: string): string {
  return numbered(
    { type: 'response.failed', response: { ...empty, status: 'failed', error: { code, message } } },
    counter,
  );
}
