// What callers ask a model and what comes back, whoever serves it: one device alone, a child process, or a pool behind a hub.
import { z } from 'zod';
import { SERVING_LIMITS } from './limits.ts';

const TextSchema = z.string().max(SERVING_LIMITS.prompt_characters);

const ToolCallSchema = z.strictObject({ id: z.string(), name: z.string(), arguments: z.string() });
export type ToolCall = z.infer<typeof ToolCallSchema>;

const MessageSchema = z.strictObject({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: TextSchema,
  tool_calls: z.array(ToolCallSchema).optional(),
  tool_call_id: z.string().optional(),
});
export type ChatMessage = z.infer<typeof MessageSchema>;

const ToolSchema = z.strictObject({
  name: z.string(),
  description: z.string().optional(),
  parameters: z.record(z.string(), z.unknown()),
});

/** Where the tokens come from: a text, ids, or a conversation that the model's chat template turns into a text. */
const PromptSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('text'), text: TextSchema }),
  z.strictObject({ kind: z.literal('ids'), ids: z.array(z.int().nonnegative()).max(SERVING_LIMITS.prompt_tokens) }),
  z.strictObject({
    kind: z.literal('chat'),
    messages: z.array(MessageSchema).min(1).max(SERVING_LIMITS.messages),
    tools: z.array(ToolSchema).max(SERVING_LIMITS.tools),
    /** Whether the answer may, or must, call a tool, or this one. Of no meaning without tools. */
    tool_choice: z.union([z.enum(['none', 'auto', 'required']), z.strictObject({ name: z.string() })]),
    /** Whether the answer may call several tools. */
    parallel_tool_calls: z.boolean(),
  }),
]);

const FormatSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('text') }),
  z.strictObject({ kind: z.literal('json') }),
  z.strictObject({ kind: z.literal('json_schema'), schema: z.record(z.string(), z.unknown()) }),
]);

/** How the next token is drawn; see model/sampling.ts. */
export const SamplingSchema = z.strictObject({
  /** With (position, token) the source of all randomness: any device goes on with the same text. */
  seed: z.string().max(SERVING_LIMITS.seed_characters),
  temperature: z.number().min(0).max(2),
  top_p: z.number().gt(0).max(1),
  presence_penalty: z.number().min(-2).max(2),
  frequency_penalty: z.number().min(-2).max(2),
  /** [token, added to its logit]. */
  logit_bias: z.array(z.tuple([z.int().nonnegative(), z.number().min(-100).max(100)])).max(SERVING_LIMITS.biases),
});
export type Sampling = z.infer<typeof SamplingSchema>;

/** One answer; `n` answers are n requests with seeds of their own. */
export const AnswerRequestSchema = z.strictObject({
  /** The name of a model in `models()`. */
  model: z.string(),
  prompt: PromptSchema,
  /** Tokens of this answer that another device has already written: the answer goes on behind them. */
  written: z.array(z.int().nonnegative()).max(SERVING_LIMITS.answer_tokens),
  /** Of the whole answer, `written` included. 0: nothing but the prompt's own tokens (`echo`). */
  max_tokens: z.int().min(0).max(SERVING_LIMITS.answer_tokens),
  /** None of these is ever in the answer's text. */
  stop: z.array(z.string().min(1).max(SERVING_LIMITS.stop_characters)).max(SERVING_LIMITS.stops),
  sampling: SamplingSchema,
  /** The likeliest tokens to name beside each token, 0 for none but the token's own; null: no logprobs at all. */
  top_logprobs: z.int().min(0).max(SERVING_LIMITS.top_logprobs).nullable(),
  /** Whether the prompt's tokens come first, as events of their own. */
  echo: z.boolean(),
  format: FormatSchema,
});
export type AnswerRequest = z.infer<typeof AnswerRequestSchema>;

/** A token with the natural logarithm of its probability: softmax of the model's own logits, before temperature, bias and penalties. */
export interface TokenLogprob {
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly logprob: number;
}

/**
 * What comes back, in order: begun, tokens, tool calls, ended; `spent` at any place between begun and ended. Any other end is an error. `begun` comes when the request is found good
 * and has its place, before the prompt is read: what is refused is refused before it.
 */
export type AnswerEvent =
  | { readonly kind: 'begun'; readonly prompt_tokens: number }
  | {
      readonly kind: 'token';
      /** Within the sequence, prompt included. */
      readonly position: number;
      readonly id: number;
      /** Text that is final with this token: whole characters that begin no stop string. Often empty. */
      readonly text: string;
      /** Whether it is a token of the prompt (`echo`). */
      readonly echoed: boolean;
      /** null: of the first token of a text, and where none were asked for. */
      readonly logprob: TokenLogprob | null;
      readonly top: readonly TokenLogprob[];
    }
  /**
   * What was read and written for this answer so far by all who worked on it, its own events included: where several write and one answer is
   * chosen, the caller pays for all of them.
   */
  | { readonly kind: 'spent'; readonly prompt_tokens: number; readonly written_tokens: number }
  /** A whole call, read from what the model wrote; what spells it is in no token's `text`. */
  | { readonly kind: 'tool_call'; readonly name: string; readonly arguments: string }
  | {
      readonly kind: 'ended';
      /** The last text, which was held back because it might have begun a stop string. */
      readonly text: string;
      readonly reason: 'stop' | 'length' | 'tool_calls';
      /** The end token with which the model ended it; it is no `token` event, but belongs to what is signed and judged. null: something else did. */
      readonly end_id: number | null;
      readonly written_tokens: number;
    };

/** A model that callers can name. */
export interface OfferedModel {
  readonly name: string;
  readonly hash: string;
  readonly quantisation: string;
  readonly engine: string;
  readonly context_tokens: number;
  readonly created_ms: number;
  readonly licence: string | null;
  readonly chat: boolean;
  readonly tools: boolean;
  readonly embeddings: boolean;
  /** Of a file that a pool serves: what its owners call it, and whose devices have it. */
  readonly label?: string;
  readonly owner?: string;
}

/** Whoever answers. The API stands on this interface alone. */
export interface AnswerServer {
  models(): readonly OfferedModel[];
  /** A model that can be asked by this name though it is not listed; null: there is none. Throws ServingError for a name that is nearly one. */
  unlisted?(name: string): OfferedModel | null;
  /** Streams an answer. Ends within a token when the signal fires, with its reason. Throws ServingError. */
  answer(request: AnswerRequest, signal: AbortSignal): AsyncIterable<AnswerEvent>;
  /** The same server for answers that an account pays for; missing: nobody pays here. The headers go with what is answered. */
  billed?(
    account: string,
    answers: readonly AnswerRequest[],
  ): { readonly server: AnswerServer; readonly headers: Readonly<Record<string, string>> };
  /** One vector of unit length for each text. */
  embed(
    request: { readonly model: string; readonly inputs: readonly (string | readonly number[])[] },
    signal: AbortSignal,
  ): Promise<{ readonly vectors: readonly Float32Array[]; readonly tokens: number }>;
}
