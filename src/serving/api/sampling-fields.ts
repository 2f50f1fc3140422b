// The fields that chat completions, completions and responses share: how tokens are drawn, and what is not done and so refused.
import { z } from 'zod';
import type { AnswerRequest, OfferedModel, Sampling } from '../answers.ts';
import { API_LIMITS, SERVING_LIMITS } from '../limits.ts';
import { ApiError } from './errors.ts';

const id = z.string().regex(/^\d{1,9}$/, "expected a token's id");

/** Drawing, in OpenAI's words. Every field may be missing or null. */
export const drawingFields = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
};

export const completionFields = {
  ...drawingFields,
  model: z.string().min(1),
  n: z.int().min(1).max(API_LIMITS.choices).nullish(),
  seed: z.int().nullish(),
  stop: z
    .union([
      z.string().min(1).max(SERVING_LIMITS.stop_characters),
      z.array(z.string().min(1).max(SERVING_LIMITS.stop_characters)).max(SERVING_LIMITS.stops),
    ])
    .nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z
    .record(id, z.number().min(-100).max(100))
    .refine((biases) => Object.keys(biases).length <= SERVING_LIMITS.biases, `at most ${SERVING_LIMITS.biases} biases`)
    .nullish(),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({ include_usage: z.boolean().optional(), include_obfuscation: z.literal(false).optional() })
    .nullish(),
};

/** What marketplaces read of how answers are drawn. */
export const SAMPLING_PARAMETERS = [
  ...([
    ...(['temperature', 'top_p', 'seed', 'stop', 'presence_penalty', 'frequency_penalty', 'logit_bias'] as const),
  ] satisfies (keyof typeof completionFields)[]),
  'max_tokens',
];

/** Labels of the caller's own, which by OpenAI's definition change no answer. */
export const labelFields = {
  user: z.string().max(512).nullish(),
  safety_identifier: z.string().max(512).nullish(),
  prompt_cache_key: z.string().max(512).nullish(),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
  service_tier: z.enum(['auto', 'default']).nullish(),
};

interface DrawingRequest {
  readonly temperature?: number | null;
  readonly top_p?: number | null;
  readonly seed?: number | null;
  readonly presence_penalty?: number | null;
  readonly frequency_penalty?: number | null;
  readonly logit_bias?: Readonly<Record<string, number>> | null;
}

/** @param fresh_seed for a caller who gives none */
export function samplingOf(request: DrawingRequest, fresh_seed: string): Sampling {
  return {
    seed: request.seed == null ? fresh_seed : String(request.seed),
    temperature: request.temperature ?? 1,
    top_p: request.top_p ?? 1,
    presence_penalty: request.presence_penalty ?? 0,
    frequency_penalty: request.frequency_penalty ?? 0,
    logit_bias: Object.entries(request.logit_bias ?? {}).map(([token, bias]) => [Number(token), bias]),
  };
}

export const stopsOf = (stop: string | readonly string[] | null | undefined): string[] =>
  stop == null ? [] : typeof stop === 'string' ? [stop] : [...stop];

/** No answer is longer than the model's context, whatever a caller allows. */
export const longestAnswer = (model: OfferedModel, allowed: number | null | undefined): number =>
  Math.min(allowed ?? Number.POSITIVE_INFINITY, model.context_tokens, SERVING_LIMITS.answer_tokens);

export type Format = AnswerRequest['format'];

/** JSON Schemas and the parameters of tools. */
export const JsonSchemaSchema = z
  .record(z.string(), z.unknown())
  .refine((schema) => depthOf(schema) <= API_LIMITS.schema_depth, `nested deeper than ${API_LIMITS.schema_depth}`);

function depthOf(value: unknown, most: number = API_LIMITS.schema_depth): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (most === 0) return 1;
  return 1 + Object.values(value).reduce((deepest: number, part) => Math.max(deepest, depthOf(part, most - 1)), 0);
}

/** Throws ApiError `unsupported` with the field. */
export function refuse(param: string, fact: string): never {
  throw new ApiError('unsupported', fact, { param });
}
