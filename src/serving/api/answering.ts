// Runs the answers to one request and accounts for them, whatever form they are given in and however they end.
import type { Clock } from '../../protocol/clock.ts';
import type { AnswerRequest, AnswerServer } from '../answers.ts';
import { answersOf, type ChoiceEvent } from './choices.ts';
import type { Caller } from './keys.ts';
import type { Quotas } from './quota.ts';
import { countingUsage, type Usage } from './usage.ts';
import type { UsageBook } from './usage-book.ts';

/** What became of a request, for whoever runs the server. It says nothing of what was asked or answered. */
export interface Answered extends Usage {
  readonly request: string;
  readonly caller: string;
  readonly model: string;
  /** gone: the client has not waited for the end. */
  readonly end: 'whole' | 'gone' | 'failed';
  readonly duration_ms: number;
}

export interface Accounting {
  readonly quotas: Quotas;
  readonly clock: Clock;
  readonly usage?: UsageBook;
  readonly onAnswered?: (answered: Answered) => void;
}

/** An answer may be long; what it needs beyond this is taken from the caller's tokens when it has ended. */
const RESERVED_TOKENS = 256;
/** What a token of English has. */
const TOKEN_CHARACTERS = 4;

/** One request for which tokens were taken. */
interface Account {
  /** Settles what was taken, and tells what became of the request. */
  close(usage: Usage, end: Answered['end']): void;
}

/** Who asks for what. */
export interface Asked {
  readonly caller: Caller;
  readonly request: string;
  readonly model: string;
  /** The model's name in the usage that is kept. */
  readonly counted_as: string;
}

/** Takes what a request may need from the caller's tokens. Throws ApiError `too-fast`, `beyond-quota`. */
export function openAccount(
  { quotas, clock, usage: book, onAnswered }: Accounting,
  { caller, request, model, counted_as }: Asked,
  prompt_tokens: number,
  answer_tokens: number,
): Account {
  const begun_ms = clock.elapsed_ms();
  const taken = quotas.takeTokens(caller, prompt_tokens, answer_tokens);
  return {
    close(usage, end) {
      taken.settle(usage.total_tokens);
      const { prompt_tokens: input_tokens, completion_tokens: output_tokens } = usage;
      book?.add(caller.id, counted_as, { input_tokens, output_tokens });
      const duration_ms = Math.round(clock.elapsed_ms() - begun_ms);
      onAnswered?.({ request, caller: caller.id, model, end, ...usage, duration_ms });
    },
  };
}

/** Takes what the answers may need from the caller's tokens, and returns how to have them written. Throws as openAccount does. */
export function openAnswers(
  accounting: Accounting,
  server: AnswerServer,
  asked: Asked,
  answers: readonly AnswerRequest[],
): (signal: AbortSignal) => AsyncGenerator<ChoiceEvent> {
  const tokens = answers.reduce((sum, answer) => sum + Math.min(answer.max_tokens, RESERVED_TOKENS), 0);
  const account = openAccount(accounting, asked, promptTokens(answers), tokens);
  return async function* (signal) {
    const usage = countingUsage(answers);
    let end: Answered['end'] = 'gone';
    try {
      for await (const event of answersOf(server, answers, signal)) {
        usage.note(event);
        yield event;
      }
      end = 'whole';
    } catch (error) {
      if (!signal.aborted) end = 'failed';
      throw error;
    } finally {
      account.close(usage.total(), end);
    }
  };
}

/** About as many tokens as the prompts have: only the model's tokenizer knows. */
function promptTokens(answers: readonly AnswerRequest[]): number {
  const prompts = new Set(answers.map(({ prompt }) => prompt));
  return [...prompts].reduce((sum, prompt) => sum + tokensOf(prompt), 0);
}

function tokensOf(prompt: AnswerRequest['prompt']): number {
  if (prompt.kind === 'ids') return prompt.ids.length;
  const characters =
    prompt.kind === 'text' ? prompt.text.length : prompt.messages.reduce((sum, { content }) => sum + content.length, 0);
  return tokensIn(characters);
}

/** About as many tokens as a text of so many characters has. */
export const tokensIn = (characters: number): number => Math.ceil(characters / TOKEN_CHARACTERS);
