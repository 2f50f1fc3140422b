// Collects a dataset from a teacher, within a budget of tokens: texts that it writes, or that it reads and says what it thinks of.
import type { Tokenizer } from '../../model/tokenizer.ts';
import { LIMIT_TOP } from '../../training/soft-shards.ts';
import {
  buildTaughtDataset,
  LEAST_TAUGHT_TOKENS,
  type TaughtDataset,
  type TaughtText,
} from '../../training/taught-dataset.ts';
import { type Question, type Teacher, TeacherError } from './teacher.ts';
import { type TokenNames, tokenNames } from './token-names.ts';

export interface CollectOptions {
  readonly teacher: Teacher;
  readonly tokenizer: Tokenizer;
  /** Texts of a person: the teacher reads them, or goes on from their beginnings; without any it writes from nothing. */
  readonly texts: AsyncIterable<string> | null;
  /** Whether the teacher reads the texts instead of writing. */
  readonly reads: boolean;
  /** The most tokens that the teacher may count, prompts included. */
  readonly budget_tokens: number;
  /** Tokens of one question. */
  readonly text_tokens: number;
  /** Questions at the same time. */
  readonly at_once: number;
  readonly signal: AbortSignal;
  /** Stores a blob and returns its SHA-256. */
  put(bytes: Uint8Array): Promise<string>;
  onProgress?(progress: { readonly spent_tokens: number; readonly texts: number }): void;
}

/** What was collected, and what the teacher counted for it. */
export interface Collected extends TaughtDataset {
  readonly spent_tokens: number;
  /** Why it ended before the budget and the texts did: the teacher refused or went away, or the person stopped it; null: it did not. */
  readonly cut_short: Error | null;
}

/** The part of a text that a teacher goes on from. */
const BEGINNING_CHARACTERS = 32;

/** An answer that is not even this long is not asked for. */
const LEAST_ANSWER_TOKENS = 16;
/** A teacher that has written nothing so often in a row will not begin to. */
const MOST_EMPTY = 32;

/**
 * Asks until the budget is spent or there are no more texts. Texts lie in the dataset in the order in which they were asked for.
 * Where that is cut short, what came before is a dataset all the same, because it cost something; if it is too little for one, throws the reason.
 * Throws TeacherError, DataError `no-text`.
 */
export async function collect(options: CollectOptions): Promise<Collected> {
  const { teacher, tokenizer, budget_tokens, put } = options;
  if (!(budget_tokens >= LEAST_TAUGHT_TOKENS)) {
    const fact = `a budget of ${budget_tokens} tokens: expected at least ${LEAST_TAUGHT_TOKENS}, fewer say too little`;
    throw new TeacherError('bad-argument', fact);
  }
  const budget: Budget = { spent_tokens: 0, promised_tokens: 0, texts: 0, empty: 0 };
  const names = tokenNames(tokenizer, teacher.model);
  const answers = inOrder(questions(options, budget), options.at_once, options.signal, (asked, signal) =>
    answered(options, budget, names, asked, signal),
  );
  let cut_short: Error | null = null;
  async function* came(): AsyncGenerator<TaughtText> {
    try {
      yield* answers;
    } catch (error) {
      if (!(error instanceof Error && (options.signal.aborted || isAbsence(error)))) throw error;
      cut_short = error;
    }
  }
  try {
    const into = { tokenizer, top: LIMIT_TOP, expected_tokens: budget_tokens, put };
    const dataset = await buildTaughtDataset(came(), into);
    return { ...dataset, spent_tokens: budget.spent_tokens, cut_short };
  } catch (error) {
    throw cut_short ?? error;
  }
}

/** Whether a teacher says nothing more; what it has said is good. */
const isAbsence = (error: Error): boolean =>
  error instanceof TeacherError && (error.code === 'teacher-refused' || error.code === 'teacher-unreachable');

interface Budget {
  spent_tokens: number;
  /** What the questions in flight may cost. */
  promised_tokens: number;
  texts: number;
  /** Answers without a token, in a row. */
  empty: number;
}

interface Asked extends Question {
  readonly most_tokens: number;
}

/** One question after the other, while the budget has room for its longest answer. */
async function* questions(options: CollectOptions, budget: Budget): AsyncGenerator<Asked> {
  const { tokenizer, reads, budget_tokens, text_tokens } = options;
  let seed = 0;
  for await (const prompt of prompts(options)) {
    const left = budget_tokens - budget.spent_tokens - budget.promised_tokens;
    const read_tokens = tokenizer.encode(prompt).length + 1; // with a beginning-of-text token
    const max_tokens = reads ? 1 : Math.min(text_tokens, left - read_tokens);
    const most_tokens = read_tokens + max_tokens;
    if (most_tokens > left || (!reads && max_tokens < LEAST_ANSWER_TOKENS)) return;
    budget.promised_tokens += most_tokens;
    yield { prompt, max_tokens, echo: reads, seed: seed++, most_tokens };
  }
}

async function* prompts({ tokenizer, texts, reads, text_tokens }: CollectOptions): AsyncGenerator<string> {
  if (texts === null) for (;;) yield '';
  for await (const text of texts) {
    if (!reads) yield text.slice(0, BEGINNING_CHARACTERS).toWellFormed();
    else yield* pieces(text.toWellFormed(), tokenizer, text_tokens);
  }
}

/** A text in pieces of at most so many tokens, which end where a character ends. */
function* pieces(text: string, tokenizer: Tokenizer, most_tokens: number): Generator<string> {
  let rest = [...text];
  while (rest.length > 0) {
    let length = Math.min(rest.length, 2 * most_tokens);
    for (;;) {
      const tokens = tokenizer.encode(rest.slice(0, length).join('')).length;
      if (tokens <= most_tokens || length === 1) break;
      length = Math.max(1, Math.min(length - 1, Math.floor((length * most_tokens) / tokens)));
    }
    yield rest.slice(0, length).join('');
    rest = rest.slice(length);
  }
}

async function answered(
  { teacher, tokenizer, onProgress }: CollectOptions,
  budget: Budget,
  names: TokenNames,
  asked: Asked,
  signal: AbortSignal,
): Promise<TaughtText> {
  const answer = await teacher.ask(asked, signal);
  budget.promised_tokens -= asked.most_tokens;
  budget.spent_tokens += answer.spent_tokens;
  budget.texts++;
  budget.empty = answer.tokens.length === 0 ? budget.empty + 1 : 0;
  if (budget.empty >= MOST_EMPTY) {
    throw new TeacherError('not-a-teacher', `${teacher.model} has written nothing ${MOST_EMPTY} times in a row`);
  }
  onProgress?.({ spent_tokens: budget.spent_tokens, texts: budget.texts });
  const prompt = Array.from(tokenizer.encode(asked.prompt));
  if (!asked.echo) {
    const { ids, rows } = names.read(answer.tokens);
    return { ids: [...prompt, ...ids], rows: [...prompt.map(() => []), ...rows] };
  }
  const { ids, rows } = names.read(answer.tokens.slice(0, prompt.length));
  if (ids.length === prompt.length && ids.every((id, i) => id === prompt[i])) return { ids, rows };
  const fact = `expected the ${prompt.length} tokens of the text that it was to read, got others`;
  throw new TeacherError(
    'other-tokens',
    `${teacher.model}: ${fact}; either its tokenizer is not the student's, or it does not do echo`,
  );
}

/** The results of work, several at once, in the order of their source. When one fails, the others are told to stop. */
async function* inOrder<From, To>(
  source: AsyncIterable<From>,
  most: number,
  signal: AbortSignal,
  work: (from: From, signal: AbortSignal) => Promise<To>,
): AsyncGenerator<To> {
  const stopping = new AbortController();
  const either = AbortSignal.any([signal, stopping.signal]);
  const inFlight: Promise<To>[] = [];
  try {
    for await (const from of source) {
      either.throwIfAborted();
      const result = work(from, either);
      result.catch(() => {}); // it is awaited below, unless an earlier one fails
      inFlight.push(result);
      if (inFlight.length >= most) yield await inFlight.shift()!;
    }
    while (inFlight.length > 0) yield await inFlight.shift()!;
  } finally {
    stopping.abort();
  }
}
