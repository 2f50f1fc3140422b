// How a committee chooses between its members' answers: by a program that checks them, by a scorer, or by votes.
import type { RunProgram } from '../games/programs/program.ts';
import { mean } from '../training/statistics.ts';
import type { AnswerEvent, AnswerRequest, AnswerServer } from './answers.ts';
import { scoreOf, ungraded } from './graded-answers.ts';
import { SERVING_LIMITS } from './limits.ts';

/** A member's whole answer. */
export interface Draft {
  /** Its place in the committee, from 0. */
  readonly member: number;
  readonly model: string;
  readonly events: readonly AnswerEvent[];
  /** As a caller reads it. */
  readonly text: string;
}

export interface ToChoose {
  readonly request: AnswerRequest;
  /** At least one. */
  readonly drafts: readonly Draft[];
}

/** Chooses a draft by its index; `prompt_tokens`: what models have read for that, which the caller pays. */
export type Verifier = (
  asked: ToChoose,
  signal: AbortSignal,
) => Promise<{ readonly chosen: number; readonly prompt_tokens: number }>;

export function draftOf(member: number, model: string, events: readonly AnswerEvent[]): Draft {
  const texts = events.map((event) => (event.kind === 'token' || event.kind === 'ended' ? event.text : ''));
  return { member, model, events, text: texts.join('') };
}

/** The first of the greatest values. */
const greatest = (values: readonly number[]): number => values.indexOf(Math.max(...values));

/**
 * Whether an answer passes a check: a program (games/programs), a function of {prompt, answer} that gives back true for a right answer. Whatever else
 * it gives back or does is no. Throws GameError `could-not-run` where this device cannot run it.
 */
export async function passes(
  program: string,
  run: RunProgram,
  asked: { readonly prompt: string | null; readonly answer: string },
): Promise<boolean> {
  const result = await run(program, asked);
  return result.kind === 'value' && result.value === true;
}

/** Takes the first answer that passes a check, whose `prompt` is the text or the last message, and chooses with `otherwise` where none does. */
export function checkedBy(program: string, run: RunProgram, otherwise: Verifier): Verifier {
  return async (asked, signal) => {
    const prompt = lastText(asked.request);
    for (const [chosen, { text }] of asked.drafts.entries()) {
      signal.throwIfAborted();
      if (await passes(program, run, { prompt, answer: text })) return { chosen, prompt_tokens: 0 };
    }
    return otherwise(asked, signal);
  };
}

/** What was said last to the model; null for ids, which only the model can read. */
function lastText({ prompt }: AnswerRequest): string | null {
  if (prompt.kind === 'ids') return null;
  return prompt.kind === 'text' ? prompt.text : prompt.messages.at(-1)!.content;
}

/** Takes the text that most members gave; of several the one that the earliest member gave. It reads nothing. */
export const mostVotes: Verifier = async ({ drafts }, signal) => {
  signal.throwIfAborted();
  const each = drafts.map(() => 1);
  return { chosen: greatest(drafts.map(({ text }) => votesFor(text, drafts, each))), prompt_tokens: 0 };
};

/**
 * Takes the text with the most votes, where a member's vote weighs as much as its own answer was likely to it: a member that has learned what is
 * asked about is surer than one that guesses. So that a short answer is not likelier than a long one, each is weighed by its mean logprob, as if all had
 * the drafts' mean length. It reads nothing.
 */
export const surestVotes: Verifier = async ({ drafts }, signal) => {
  signal.throwIfAborted();
  const logprobs = drafts.map(({ events }) =>
    events.flatMap((event) => (event.kind === 'token' && event.logprob ? [event.logprob.logprob] : [])),
  );
  // An answer of no tokens says nothing of how sure its member was.
  const means = logprobs.map((of) => (of.length === 0 ? Number.NEGATIVE_INFINITY : mean(of)));
  const surest = Math.max(...means);
  if (surest === Number.NEGATIVE_INFINITY) return { chosen: 0, prompt_tokens: 0 };
  const length = mean(logprobs.map((of) => of.length));
  const weights = means.map((of) => Math.exp((of - surest) * length));
  return { chosen: greatest(drafts.map(({ text }) => votesFor(text, drafts, weights))), prompt_tokens: 0 };
};

const votesFor = (text: string, drafts: readonly Draft[], weights: readonly number[]): number =>
  drafts.reduce((sum, draft, i) => sum + (draft.text === text ? weights[i] : 0), 0);

/**
 * Takes the answer of which a scorer is surest that it is right (graded-answers.ts), and chooses with `otherwise` where the scorer says nothing of
 * any, or the prompt is of ids. What a model says several times is read once, and nothing where all say the same.
 * Throws what the scorer fails with: who has named one does not want another choice unawares.
 */
export function scoredBy(scorer: AnswerServer, otherwise: Verifier): Verifier {
  return async (asked, signal) => {
    const { drafts, request } = asked;
    const question = lastText(request);
    if (question === null) return otherwise(asked, signal);
    if (drafts.every(({ text }) => text === drafts[0].text)) return { chosen: 0, prompt_tokens: 0 };
    const texts = drafts.map(({ model, text }) => ungraded(model, question, text));
    const scores = new Map<string, number>();
    let prompt_tokens = 0;
    for (const read of new Set(texts)) {
      const verdict = await verdictOn(scorer, read, signal);
      prompt_tokens += verdict.tokens;
      scores.set(read, verdict.score ?? -1);
    }
    if ([...scores.values()].some((score) => score >= 0)) {
      return { chosen: greatest(texts.map((read) => scores.get(read)!)), prompt_tokens };
    }
    const { chosen, prompt_tokens: more } = await otherwise(asked, signal);
    return { chosen, prompt_tokens: prompt_tokens + more };
  };
}

/** A scorer's word on a text, and the tokens that it read and wrote for that. */
async function verdictOn(scorer: AnswerServer, text: string, signal: AbortSignal) {
  const request: AnswerRequest = {
    ...{ model: scorer.models()[0].name, prompt: { kind: 'text', text }, written: [], max_tokens: 1, stop: [] },
    sampling: { seed: '', temperature: 0, top_p: 1, presence_penalty: 0, frequency_penalty: 0, logit_bias: [] },
    ...{ top_logprobs: SERVING_LIMITS.top_logprobs, echo: false, format: { kind: 'text' } },
  };
  let tokens = 0;
  let score: number | null = null;
  for await (const event of scorer.answer(request, signal)) {
    if (event.kind === 'begun') tokens += event.prompt_tokens;
    if (event.kind !== 'token') continue;
    tokens++;
    score = scoreOf(event.top.map(({ bytes, logprob }) => ({ text: new TextDecoder().decode(bytes), logprob })));
  }
  return { tokens, score };
}
