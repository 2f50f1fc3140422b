// Graded answers: what a scorer, a model like any other, learns from and says of an answer: who gave it, the question, the answer, a mark, a verdict.
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import type { AnswerRequest, AnswerServer } from './answers.ts';
import { answersOf } from './api/choices.ts';

const MARK = '\n?';
const RIGHT = 'yes';
const WRONG = 'no';

/** What a scorer goes on from with its verdict. Who answers is a part of it: a scorer learns who knows what before it learns what is right. */
export const ungraded = (model: string, question: string, answer: string): string =>
  `${model}\n${question}${answer}${MARK}`;

/** A text that a scorer learns from. */
export const graded = (model: string, question: string, answer: string, right: boolean): string =>
  `${ungraded(model, question, answer)}${right ? RIGHT : WRONG}`;

/**
 * How sure a scorer is that an answer is right, from 0 to 1, by the likeliest tokens behind the mark; null: no verdict begins with any of them, as
 * with a model that is no scorer.
 */
export function scoreOf(likely: readonly { readonly text: string; readonly logprob: number }[]): number | null {
  const mass = (verdict: string): number =>
    likely.reduce((sum, { text, logprob }) => {
      const begins = text !== '' && (verdict.startsWith(text) || text.startsWith(verdict));
      return sum + (begins ? Math.exp(logprob) : 0);
    }, 0);
  const [right, wrong] = [mass(RIGHT), mass(WRONG)];
  return right + wrong > 0 ? right / (right + wrong) : null;
}

export interface Grading {
  readonly models: readonly string[];
  readonly questions: readonly string[];
  /** Answers of each model to each question. */
  readonly times: number;
  /** What is asked beside the question; its seed is the source of all others. */
  readonly asked: Omit<AnswerRequest, 'model' | 'prompt'>;
  isRight(asked: { readonly prompt: string; readonly answer: string }): Promise<boolean>;
}

export interface GradedAnswer {
  readonly text: string;
  readonly right: boolean;
}

/** Asks every model every question, and has each answer graded. In the order of the questions. Throws ServingError, and the signal's reason. */
export async function* gradedAnswers(
  server: AnswerServer,
  { models, questions, times, asked, isRight }: Grading,
  signal: AbortSignal,
): AsyncGenerator<GradedAnswer> {
  for (const [at, question] of questions.entries()) {
    const requests = models.flatMap((model) =>
      Array.from({ length: times }, (_, time) => ({
        ...asked,
        ...{ model, prompt: { kind: 'text' as const, text: question } },
        sampling: { ...asked.sampling, seed: sha256Hex(utf8(`graded ${at} ${time} ${asked.sampling.seed}`)) },
      })),
    );
    const answers = requests.map(() => '');
    for await (const { choice, event } of answersOf(server, requests, signal)) {
      if (event.kind === 'token' || event.kind === 'ended') answers[choice] += event.text;
    }
    for (const [i, answer] of answers.entries()) {
      const right = await isRight({ prompt: question, answer });
      yield { text: graded(requests[i].model, question, answer, right), right };
    }
  }
}
