// What POST /v1/chat/completions takes, and the answers that it asks for.
import { z } from 'zod';
import type { AnswerRequest, ChatMessage, OfferedModel } from '../answers.ts';
import { SERVING_LIMITS } from '../limits.ts';
import { seedOf } from './choices.ts';
import {
  completionFields,
  type Format,
  JsonSchemaSchema,
  labelFields,
  longestAnswer,
  refuse,
  samplingOf,
  stopsOf,
} from './sampling-fields.ts';

const text = z.string().max(SERVING_LIMITS.prompt_characters);
const NAME = /^[a-zA-Z0-9_-]{1,64}$/;
export const toolName = z.string().regex(NAME, 'expected 1 to 64 letters, digits, _ or -');

/** A text, or parts of it; nothing but text is read. */
const contentOf = (...types: [string, ...string[]]) =>
  z.union([
    text,
    z.array(z.strictObject({ type: z.enum(types), text })).min(1, 'expected at least one part of the content'),
  ]);
const content = contentOf('text');

const CallSchema = z.strictObject({
  id: z.string().min(1),
  type: z.literal('function').default('function'),
  function: z.strictObject({ name: toolName, arguments: text }),
});

/** What clients send back of an answer and what is always empty in ours. */
const echoed = {
  refusal: z.null().optional(),
  audio: z.null().optional(),
  function_call: z.null().optional(),
  annotations: z.array(z.never()).optional(),
};

const MessageSchema = z.discriminatedUnion('role', [
  z.strictObject({ role: z.enum(['system', 'developer', 'user']), content }),
  z.strictObject({
    role: z.literal('assistant'),
    content: content.nullish(),
    tool_calls: z.array(CallSchema).max(SERVING_LIMITS.tools).nullish(),
    ...echoed,
  }),
  z.strictObject({ role: z.literal('tool'), content, tool_call_id: z.string().min(1) }),
]);
type Message = z.infer<typeof MessageSchema>;

const FormatSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.strictObject({
      name: toolName,
      description: z.string().optional(),
      schema: JsonSchemaSchema.optional(),
      /** The schema is kept to either way. */
      strict: z.boolean().nullish(),
    }),
  }),
]);

const ToolSchema = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name: toolName,
    description: z.string().optional(),
    parameters: JsonSchemaSchema.optional(),
    strict: z.boolean().nullish(),
  }),
});

const ToolChoiceSchema = z.union([
  z.enum(['none', 'auto', 'required']),
  z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: toolName }) }),
]);

export const ChatRequestSchema = z.strictObject({
  ...completionFields,
  ...labelFields,
  messages: z.array(MessageSchema).min(1).max(SERVING_LIMITS.messages),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(SERVING_LIMITS.top_logprobs).nullish(),
  response_format: FormatSchema.nullish(),
  tools: z.array(ToolSchema).max(SERVING_LIMITS.tools).nullish(),
  tool_choice: ToolChoiceSchema.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  modalities: z.array(z.literal('text')).nullish(),
  store: z.literal(false).nullish(),
});
export type ChatRequest = z.infer<typeof ChatRequestSchema>;

/** The answers that a request asks for. Throws ApiError `unsupported` for what this model does not do. */
export function chatAnswers(request: ChatRequest, model: OfferedModel, fresh_seed: string): AnswerRequest[] {
  const { max_tokens, max_completion_tokens: longest } = request;
  if (max_tokens != null && longest != null && max_tokens !== longest) {
    refuse('max_tokens', 'expected max_tokens or max_completion_tokens, got both with different values');
  }
  if (request.top_logprobs != null && !request.logprobs)
    refuse('top_logprobs', 'top_logprobs goes with logprobs: true');
  if (request.stream_options && !request.stream) refuse('stream_options', 'stream_options goes with stream: true');
  const tools = (request.tools ?? []).map(({ function: tool }) => ({
    name: tool.name,
    ...(tool.description !== undefined && { description: tool.description }),
    parameters: tool.parameters ?? { type: 'object', properties: {} },
  }));
  const named = typeof request.tool_choice === 'object' ? request.tool_choice?.function : null;
  const prompt = chatPrompt(model, {
    messages: request.messages.map(messageOf),
    tools,
    tool_choice: named ?? (request.tool_choice as 'none' | 'auto' | 'required' | null | undefined) ?? null,
    parallel_tool_calls: request.parallel_tool_calls ?? null,
  });
  const sampling = samplingOf(request, fresh_seed);
  const answer: AnswerRequest = {
    model: model.name,
    prompt,
    written: [],
    max_tokens: longestAnswer(model, longest ?? max_tokens),
    stop: stopsOf(request.stop),
    sampling,
    top_logprobs: request.logprobs ? (request.top_logprobs ?? 0) : null,
    echo: false,
    format: formatOf(request.response_format),
  };
  return Array.from({ length: request.n ?? 1 }, (_, choice) => ({
    ...answer,
    sampling: { ...sampling, seed: seedOf(sampling.seed, choice) },
  }));
}

type ChatPrompt = Extract<AnswerRequest['prompt'], { kind: 'chat' }>;

/** A conversation, and what may be called in it; null where the caller says nothing. */
interface Conversation extends Pick<ChatPrompt, 'messages' | 'tools'> {
  readonly tool_choice: ChatPrompt['tool_choice'] | null;
  readonly parallel_tool_calls: boolean | null;
}

/** Throws ApiError `unsupported` where the model has no template for this. */
export function chatPrompt(model: OfferedModel, conversation: Conversation): ChatPrompt {
  const { messages, tools, tool_choice, parallel_tool_calls } = conversation;
  if (!model.chat) {
    refuse('model', `${model.name} has no template for conversations: ask it for /v1/completions instead`);
  }
  const talksOfTools = messages.some(({ role, tool_calls }) => role === 'tool' || (tool_calls ?? []).length > 0);
  if (!model.tools && (tools.length > 0 || talksOfTools)) {
    refuse('tools', `${model.name} has no template for tools, so that it cannot call any`);
  }
  const choice = tool_choice ?? 'auto';
  if (tools.length === 0) {
    if (tool_choice !== null && tool_choice !== 'none' && tool_choice !== 'auto') {
      refuse('tool_choice', 'tool_choice goes with tools');
    }
    if (parallel_tool_calls !== null) refuse('parallel_tool_calls', 'parallel_tool_calls goes with tools');
  }
  if (typeof choice === 'object' && !tools.some(({ name }) => name === choice.name)) {
    refuse('tool_choice', `no tool is called ${choice.name}`);
  }
  return { kind: 'chat', messages, tools, tool_choice: choice, parallel_tool_calls: parallel_tool_calls ?? true };
}

function messageOf(message: Message): ChatMessage {
  switch (message.role) {
    case 'assistant':
      return {
        role: 'assistant',
        content: textOf(message.content ?? ''),
        ...(message.tool_calls?.length && {
          tool_calls: message.tool_calls.map(({ id, function: call }) => ({ id, ...call })),
        }),
      };
    case 'tool':
      return { role: 'tool', content: textOf(message.content), tool_call_id: message.tool_call_id };
    default:
      return { role: message.role === 'user' ? 'user' : 'system', content: textOf(message.content) };
  }
}

/** The text of parts, as if it had come in one. */
export const textOf = (content: string | readonly { readonly text: string }[]): string =>
  typeof content === 'string' ? content : content.map((part) => part.text).join('');

export function formatOf(format: z.infer<typeof FormatSchema> | null | undefined): Format {
  switch (format?.type) {
    case 'json_object':
      return { kind: 'json' };
    case 'json_schema':
      return { kind: 'json_schema', schema: format.json_schema.schema ?? {} };
    default:
      return { kind: 'text' };
  }
}
