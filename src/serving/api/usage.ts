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
  /** So far. A prompt counts once, however many answers it has; what else was read for an answer (`spent`) counts for each. */
  total(): Usage;
}

export function countingUsage(answers: readonly Pick<AnswerRequest, 'prompt'>[]): CountingUsage {
  const counted = new Set<AnswerRequest['prompt']>();
  let prompt_tokens = 0;
  let completion_tokens = 0;
  /** What each answer took so far; `own`: tokens of its own events. */
  const choices = answers.map(() => ({ prompt: 0, own: 0, written: 0 }));
  return {
    note({ choice, event }) {
      const taken = choices[choice];
      if (event.kind === 'begun') {
        const { prompt } = answers[choice];
        if (!counted.has(prompt)) prompt_tokens += event.prompt_tokens;
        counted.add(prompt);
        taken.prompt = event.prompt_tokens;
      }
      if (event.kind === 'token' && !event.echoed) taken.own++;
      if (event.kind === 'spent' && event.prompt_tokens > taken.prompt) {
        prompt_tokens += event.prompt_tokens - taken.prompt;
        taken.prompt = event.prompt_tokens;
      }
      // Tokens of the chosen answer come a second time, as its events.
      const written = event.kind === 'spent' ? Math.max(taken.written, event.written_tokens) : taken.own;
      if (written > taken.written) {
        completion_tokens += written - taken.written;
        taken.written = written;
      }
    },
    total: () => ({ prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }),
  };
}
