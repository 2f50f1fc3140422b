// What a judge is asked: a request, and what somebody else has written for it.
import { z } from 'zod';
import { AnswerRequestSchema } from './answers.ts';
import { SERVING_LIMITS } from './limits.ts';

export const JudgeTaskSchema = z.strictObject({
  /** `written`: what others had written before. */
  request: AnswerRequestSchema,
  /** A ServedAnswer (judge-answer.ts). */
  served: z.strictObject({
    ids: z.array(z.int().nonnegative()).max(SERVING_LIMITS.answer_tokens + 1), // the end token is one of them
    reason: z.enum(['stop', 'length', 'cut']),
    logprobs: z
      .array(z.number())
      .max(SERVING_LIMITS.answer_tokens + 1)
      .optional(),
  }),
});
export type JudgeTask = z.infer<typeof JudgeTaskSchema>;
