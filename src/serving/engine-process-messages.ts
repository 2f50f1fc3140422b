// What a program and the child process that answers for it say to each other. The child reads files of strangers in C++, so that its words
// are parsed like anybody's.
import { z } from 'zod';
import { answerFlaw } from '../protocol/serving-from-peer.ts';
import { type AnswerEvent, AnswerRequestSchema, type OfferedModel } from './answers.ts';
import type { ServingErrorCode } from './errors.ts';
import type { Judged } from './judge-answer.ts';
import { JudgeTaskSchema } from './judge-task.ts';
import { SERVING_LIMITS } from './limits.ts';

const count = z.int().nonnegative();
const word = z.string().max(1000);

/** What a child is started with. */
export const EngineSettingsSchema = z.strictObject({
  model: z.discriminatedUnion('kind', [
    /** A GGUF file, for llama.cpp. */
    z.strictObject({ kind: z.literal('gguf'), path: z.string(), hash: z.string() }),
    /** A folder that transformers reads, for our own decoder. */
    z.strictObject({ kind: z.literal('folder'), path: z.string() }),
  ]),
  name: z.string(),
  licence: z.string().nullable(),
  created_ms: count,
  /** A name of ours, or the text of which only the marks are looked at; null: the model has none. */
  chat_template: z.string().nullable(),
  /** Tokens of one answer with its prompt; by default the model's own. */
  context_tokens: z.int().positive().optional(),
  /** Answers at the same time. */
  places: z.int().positive(),
  threads: z.int().positive(),
});
export type EngineSettings = z.infer<typeof EngineSettingsSchema>;

export const ToEngineSchema = z.discriminatedUnion('say', [
  z.strictObject({ say: z.literal('open'), settings: EngineSettingsSchema }),
  z.strictObject({ say: z.literal('answer'), id: count, request: AnswerRequestSchema }),
  z.strictObject({ say: z.literal('embed'), id: count, inputs: z.array(z.union([z.string(), z.array(count)])) }),
  z.strictObject({ say: z.literal('judge'), id: count, task: JudgeTaskSchema }),
  /** So many more events may be sent. */
  z.strictObject({ say: z.literal('more'), id: count, events: count }),
  z.strictObject({ say: z.literal('abort'), id: count }),
  z.strictObject({ say: z.literal('threads'), threads: z.int().positive() }),
  z.strictObject({ say: z.literal('close') }),
]);
export type ToEngine = z.infer<typeof ToEngineSchema>;

const OfferedSchema: z.ZodType<OfferedModel> = z.strictObject({
  name: z.string(),
  hash: word,
  quantisation: word,
  engine: word,
  context_tokens: count,
  created_ms: count,
  licence: z.string().nullable(),
  chat: z.boolean(),
  tools: z.boolean(),
  embeddings: z.boolean(),
});

const LogprobSchema = z.strictObject({
  id: count,
  bytes: z.custom<Uint8Array>((value) => value instanceof Uint8Array),
  logprob: z.number(),
});
const EventSchema: z.ZodType<AnswerEvent> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('begun'), prompt_tokens: count }),
  z.strictObject({
    kind: z.literal('token'),
    position: count,
    id: count,
    text: z.string(),
    echoed: z.boolean(),
    logprob: LogprobSchema.nullable(),
    top: z.array(LogprobSchema).max(SERVING_LIMITS.top_logprobs),
  }),
  z.strictObject({ kind: z.literal('tool_call'), name: z.string(), arguments: z.string() }),
  z.strictObject({
    kind: z.literal('ended'),
    text: z.string(),
    reason: z.enum(['stop', 'length', 'tool_calls']),
    end_id: count.nullable(),
    written_tokens: count,
  }),
]);

const nats = z.number().nonnegative();
const JudgedSchema: z.ZodType<Judged> = z.strictObject({
  flaw: answerFlaw.nullable(),
  prompt_tokens: count,
  tally: z.strictObject({ draws: count, margin: nats, differing: count, end_margin: nats, impossible: count }),
  logprob_distance: nats.nullable(),
});

/** Every code, so that a new one is not forgotten here. */
const CODES: Readonly<Record<ServingErrorCode, true>> = {
  ...{ 'bad-input': true, unsupported: true, 'unknown-model': true, 'corrupt-file': true, 'too-large': true },
  ...{ 'no-credit': true, 'no-room': true, 'no-engine': true, 'engine-ended': true, 'bad-grammar': true },
  interrupted: true,
};
const ErrorSchema = z.strictObject({
  code: z.enum(Object.keys(CODES) as ServingErrorCode[]),
  message: z.string().max(4000),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});
export type SaidError = z.infer<typeof ErrorSchema>;

export const FromEngineSchema = z.discriminatedUnion('say', [
  z.strictObject({ say: z.literal('opened'), model: OfferedSchema, class: word, cache_tokens: count }),
  z.strictObject({ say: z.literal('failed'), error: ErrorSchema }),
  z.strictObject({ say: z.literal('event'), id: count, event: EventSchema }),
  z.strictObject({ say: z.literal('over'), id: count, error: ErrorSchema.nullable() }),
  z.strictObject({ say: z.literal('judged'), id: count, judged: JudgedSchema }),
  z.strictObject({
    say: z.literal('embedded'),
    id: count,
    vectors: z.array(z.custom<Float32Array>((value) => value instanceof Float32Array)),
    tokens: count,
  }),
]);
export type FromEngine = z.infer<typeof FromEngineSchema>;
