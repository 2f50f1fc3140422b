// What POST /v1/completions takes, and the answers that it asks for.
import { z } from 'zod';
import type { AnswerRequest, OfferedModel } from '../answers.ts';
import { API_LIMITS, SERVING_LIMITS } from '../limits.ts';
import { seedOf } from './choices.ts';
import { completionFields, labelFields, longestAnswer, refuse, samplingOf, stopsOf } from './sampling-fields.ts';

const text = z.string().max(SERVING_LIMITS.prompt_characters);
const ids = z.array(z.int().nonnegative()).min(1).max(SERVING_LIMITS.prompt_tokens);

export const CompletionRequestSchema = z.strictObject({
  ...completionFields,
  ...labelFields,
  /** A text, ids, or several of either. */
  prompt: z.union([
    text,
    ids,
    z.array(text).min(1).max(API_LIMITS.prompts),
    z.array(ids).min(1).max(API_LIMITS.prompts),
  ]),
  max_tokens: z.int().min(0).nullish(),
  echo: z.boolean().nullish(),
  /** The likeliest tokens to name beside each token. */
  logprobs: z.int().min(0).max(API_LIMITS.legacy_logprobs).nullish(),
  best_of: z.int().nullish(),
  suffix: z.literal('').nullish(),
});
export type CompletionRequest = z.infer<typeof CompletionRequestSchema>;

/** The answers that a request asks for, those to one prompt side by side. Throws ApiError `unsupported`. */
export function completionAnswers(
  request: CompletionRequest,
  model: OfferedModel,
  fresh_seed: string,
): AnswerRequest[] {
  const n = request.n ?? 1;
  if ((request.best_of ?? n) !== n) refuse('best_of', 'best_of is not done: ask for n answers and choose yourself');
  if (request.stream_options && !request.stream) refuse('stream_options', 'stream_options goes with stream: true');
  const longest = request.max_tokens ?? API_LIMITS.completion_tokens;
  const echo = request.echo ?? false;
  if (longest === 0 && !echo) refuse('max_tokens', 'max_tokens 0 goes with echo: there would be nothing to answer');
  const prompts = promptsOf(request.prompt);
  if (prompts.length * n > API_LIMITS.prompts) {
    refuse('n', `at most ${API_LIMITS.prompts} answers to one request, this one asks for ${prompts.length} × ${n}`);
  }
  const sampling = samplingOf(request, fresh_seed);
  return prompts.flatMap((prompt) =>
    Array.from({ length: n }, (_, choice) => ({
      model: model.name,
      prompt,
      written: [],
      max_tokens: longest === 0 ? 0 : longestAnswer(model, longest),
      stop: stopsOf(request.stop),
      sampling: { ...sampling, seed: seedOf(sampling.seed, choice) },
      top_logprobs: request.logprobs ?? null,
      echo,
      format: { kind: 'text' },
    })),
  );
}

function promptsOf(prompt: CompletionRequest['prompt']): AnswerRequest['prompt'][] {
  if (typeof prompt === 'string') return [{ kind: 'text', text: prompt }];
  if (typeof prompt[0] === 'number') return [{ kind: 'ids', ids: prompt as number[] }];
  return (prompt as string[] | number[][]).map((one) =>
    typeof one === 'string' ? { kind: 'text', text: one } : { kind: 'ids', ids: one },
  );
}
