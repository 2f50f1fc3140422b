// How many tokens a request took: what callers see, and what their quota pays.
import { z } from 'zod';
import type { AnswerRequest } from '../answers.ts';
import type { ChoiceEvent } from './choices.ts';

export const UsageSchema = z.strictObject({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
});
export type Usage = z.infer<typeof UsageSchema>;

export interface CountingUsage {
  note(event: ChoiceEvent): void;
  /** So far. A prompt counts once, however many answers it has. */
  total(): Usage;
}

export function countingUsage(answers: readonly Pick<AnswerRequest, 'prompt'>[]): CountingUsage {
  const counted = new Set<AnswerRequest['prompt']>();
  let prompt_tokens = 0;
  let completion_tokens = 0;
  return {
    note({ choice, event }) {
      if (event.kind === 'begun') {
        const { prompt } = answers[choice];
        if (!counted.has(prompt)) prompt_tokens += event.prompt_tokens;
        counted.add(prompt);
      }
      if (event.kind === 'token' && !event.echoed) completion_tokens++;
    },
    total: () => ({ prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }),
  };
}
