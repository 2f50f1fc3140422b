// What POST /v1/responses takes, and the answer that it asks for. Nothing is stored: whoever goes on with a conversation sends all of it.
import { z } from 'zod';
import type { AnswerRequest, ChatMessage, OfferedModel } from '../answers.ts';
import { SERVING_LIMITS } from '../limits.ts';
import { chatPrompt, textOf, toolName } from './chat-request.ts';
import {
  drawingFields,
  type Format,
  JsonSchemaSchema,
  labelFields,
  longestAnswer,
  refuse,
  samplingOf,
} from './sampling-fields.ts';

const text = z.string().max(SERVING_LIMITS.prompt_characters);
const status = z.enum(['in_progress', 'completed', 'incomplete']).nullish();

const PartSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.enum(['input_text', 'text']), text }),
  /** As an answer of ours comes back. */
  z.strictObject({
    type: z.literal('output_text'),
    text,
    annotations: z.array(z.never()).optional(),
    logprobs: z.array(z.unknown()).optional(),
  }),
]);

const MessageSchema = z.strictObject({
  type: z.literal('message').optional(),
  id: z.string().nullish(),
  status,
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: z.union([text, z.array(PartSchema).min(1)]),
});
const CallSchema = z.strictObject({
  type: z.literal('function_call'),
  id: z.string().nullish(),
  status,
  call_id: z.string().min(1),
  name: toolName,
  arguments: text,
});
const OutputSchema = z.strictObject({
  type: z.literal('function_call_output'),
  id: z.string().nullish(),
  status,
  call_id: z.string().min(1),
  output: z.union([text, z.array(PartSchema).min(1)]),
});
const ItemSchema = z.union([MessageSchema, CallSchema, OutputSchema]);

const FormatSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    name: toolName,
    description: z.string().optional(),
    schema: JsonSchemaSchema,
    strict: z.boolean().nullish(),
  }),
]);

const ToolSchema = z.strictObject({
  type: z.literal('function'),
  name: toolName,
  description: z.string().nullish(),
  parameters: JsonSchemaSchema.nullish(),
  strict: z.boolean().nullish(),
});

/** What may be included is only what there is: logprobs. There is no reasoning, so that an encrypted form of it is nothing. */
const INCLUDABLE = ['message.output_text.logprobs', 'reasoning.encrypted_content'] as const;

export const ResponseRequestSchema = z.strictObject({
  ...drawingFields,
  ...labelFields,
  model: z.string().min(1),
  input: z.union([text, z.array(ItemSchema).min(1).max(SERVING_LIMITS.messages)]),
  instructions: text.nullish(),
  max_output_tokens: z.int().min(1).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_obfuscation: z.literal(false).optional() }).nullish(),
  store: z.literal(false, 'nothing is stored here, so that only false is taken').nullish(),
  include: z.array(z.enum(INCLUDABLE)).nullish(),
  top_logprobs: z.int().min(0).max(SERVING_LIMITS.top_logprobs).nullish(),
  text: z.strictObject({ format: FormatSchema.optional() }).nullish(),
  tools: z.array(ToolSchema).max(SERVING_LIMITS.tools).nullish(),
  tool_choice: z
    .union([z.enum(['none', 'auto', 'required']), z.strictObject({ type: z.literal('function'), name: toolName })])
    .nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  truncation: z.literal('disabled').nullish(),
  background: z.literal(false).nullish(),
  previous_response_id: z.null().optional(),
  conversation: z.null().optional(),
  reasoning: z.null().optional(),
});
export type ResponseRequest = z.infer<typeof ResponseRequestSchema>;

/** The answer that a request asks for. Throws ApiError `unsupported`. */
export function responseAnswer(request: ResponseRequest, model: OfferedModel, fresh_seed: string): AnswerRequest {
  const { input, instructions, tool_choice } = request;
  const messages = typeof input === 'string' ? [userSays(input)] : input.map(messageOf);
  if (instructions != null) messages.unshift({ role: 'system', content: instructions });
  const with_logprobs = request.include?.includes('message.output_text.logprobs') ?? false;
  if (request.top_logprobs != null && !with_logprobs) {
    refuse('top_logprobs', 'top_logprobs goes with include: ["message.output_text.logprobs"]');
  }
  return {
    model: model.name,
    prompt: chatPrompt(model, {
      messages,
      tools: (request.tools ?? []).map(({ name, description, parameters }) => ({
        name,
        ...(description != null && { description }),
        parameters: parameters ?? { type: 'object', properties: {} },
      })),
      tool_choice: typeof tool_choice === 'object' ? tool_choice && { name: tool_choice.name } : (tool_choice ?? null),
      // The clients of this endpoint say it without tools as well.
      parallel_tool_calls: (request.tools ?? []).length > 0 ? (request.parallel_tool_calls ?? null) : null,
    }),
    written: [],
    max_tokens: longestAnswer(model, request.max_output_tokens),
    stop: [],
    sampling: samplingOf(request, fresh_seed),
    top_logprobs: with_logprobs ? (request.top_logprobs ?? 0) : null,
    echo: false,
    format: formatOf(request.text?.format),
  };
}

const userSays = (content: string): ChatMessage => ({ role: 'user', content });

function messageOf(item: z.infer<typeof ItemSchema>): ChatMessage {
  if (item.type === 'function_call') {
    const call = { id: item.call_id, name: item.name, arguments: item.arguments };
    return { role: 'assistant', content: '', tool_calls: [call] };
  }
  if (item.type === 'function_call_output') {
    return { role: 'tool', content: textOf(item.output), tool_call_id: item.call_id };
  }
  return { role: item.role === 'developer' ? 'system' : item.role, content: textOf(item.content) };
}

function formatOf(format: z.infer<typeof FormatSchema> | undefined): Format {
  if (format?.type === 'json_object') return { kind: 'json' };
  if (format?.type === 'json_schema') return { kind: 'json_schema', schema: format.schema };
  return { kind: 'text' };
}
