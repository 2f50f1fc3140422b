// POST /v1/completions, the older form, which evaluation tools use: the answers as one object, or as a stream of such objects.
import { z } from 'zod';
import { utf8 } from '../../protocol/hash.ts';
import type { AnswerRequest } from '../answers.ts';
import { DONE, type Heading } from './chat.ts';
import type { ChoiceEvent } from './choices.ts';
import { eventOf } from './event-stream.ts';
import { LegacyLogprobsSchema, legacyLogprobs, type TokenEvent } from './logprobs.ts';
import { countingUsage, UsageSchema } from './usage.ts';

export const CompletionSchema = z.strictObject({
  id: z.string(),
  object: z.literal('text_completion'),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  choices: z.array(
    z.strictObject({
      index: z.int(),
      text: z.string(),
      logprobs: LegacyLogprobsSchema.nullable(),
      finish_reason: z.enum(['stop', 'length']).nullable(),
    }),
  ),
  usage: UsageSchema.nullable().optional(),
});
export type Completion = z.infer<typeof CompletionSchema>;
type Choice = Completion['choices'][number];

/** Turns the tokens of one answer into lists, and knows where in the text it is. */
function tokenLists({ top_logprobs, prompt }: AnswerRequest) {
  let offset = 0;
  return (events: readonly TokenEvent[]): Choice['logprobs'] => {
    if (top_logprobs === null) return null;
    const listed = events
      .filter((event) => !isBeginning(event, prompt))
      .map((event) => {
        const bytes = event.logprob?.bytes ?? utf8(event.text);
        const at = offset;
        offset += new TextDecoder().decode(bytes).length;
        return { event, bytes, offset: at };
      });
    return legacyLogprobs(listed, top_logprobs > 0);
  };
}

/** Whether a token is the model's own beginning of a text, which nobody wrote: OpenAI's lists begin with the prompt's first token. */
const isBeginning = ({ echoed, position, text }: TokenEvent, prompt: AnswerRequest['prompt']): boolean =>
  prompt.kind === 'text' && echoed && position === 0 && text === '';

/** The whole answer. */
export async function completion(
  heading: Heading,
  requests: readonly AnswerRequest[],
  events: AsyncIterable<ChoiceEvent>,
): Promise<Completion> {
  const usage = countingUsage(requests);
  const choices = requests.map(() => ({
    text: '',
    tokens: [] as TokenEvent[],
    reason: 'stop' as Choice['finish_reason'],
  }));
  for await (const found of events) {
    usage.note(found);
    const { choice: index, event } = found;
    const choice = choices[index];
    if (event.kind === 'token' || event.kind === 'ended') choice.text += event.text;
    if (event.kind === 'token') choice.tokens.push(event);
    if (event.kind === 'ended') choice.reason = reasonOf(event.reason);
  }
  return {
    ...heading,
    object: 'text_completion',
    choices: choices.map(({ text, tokens, reason }, index) => ({
      index,
      text,
      logprobs: tokenLists(requests[index])(tokens),
      finish_reason: reason,
    })),
    usage: usage.total(),
  };
}

/** Completions call no tools. */
const reasonOf = (reason: 'stop' | 'length' | 'tool_calls'): 'stop' | 'length' =>
  reason === 'length' ? 'length' : 'stop';

/** The same as texts of server-sent events. */
export async function* completionChunks(
  heading: Heading,
  requests: readonly AnswerRequest[],
  events: AsyncIterable<ChoiceEvent>,
  with_usage: boolean,
): AsyncGenerator<string> {
  const usage = countingUsage(requests);
  const lists = requests.map(tokenLists);
  const chunk = (choices: Choice[], total?: z.infer<typeof UsageSchema>): string =>
    eventOf({
      ...heading,
      object: 'text_completion',
      choices,
      ...(with_usage && { usage: total ?? null }),
    } satisfies Completion);
  for await (const found of events) {
    usage.note(found);
    const { choice: index, event } = found;
    if (event.kind === 'token') {
      const logprobs = lists[index]([event]);
      const said = event.text !== '' || (logprobs !== null && logprobs.tokens.length > 0);
      if (said) yield chunk([{ index, text: event.text, logprobs, finish_reason: null }]);
    }
    if (event.kind !== 'ended') continue;
    yield chunk([{ index, text: event.text, logprobs: null, finish_reason: reasonOf(event.reason) }]);
  }
  if (with_usage) yield chunk([], usage.total());
  yield DONE;
}
