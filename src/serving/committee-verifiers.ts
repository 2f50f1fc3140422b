// How a committee chooses between its members' answers: by a program that checks them, by the most votes, or by what all members find likeliest.
import type { RunProgram } from '../games/programs/program.ts';
import type { AnswerEvent, AnswerRequest, AnswerServer } from './answers.ts';
import { ServingError } from './errors.ts';

/** A member's whole answer. */
export interface Draft {
  /** Its place in the committee, from 0. */
  readonly member: number;
  readonly model: string;
  readonly events: readonly AnswerEvent[];
  /** As a caller reads it. */
  readonly text: string;
  /** All that was written, with the stop string that ended it, as ids of the model's own and as a text that others can read. */
  readonly ids: readonly number[];
  readonly raw: string;
  /** The end token that ended it; null: something else did. */
  readonly end_id: number | null;
}

export interface ToChoose {
  readonly server: AnswerServer;
  readonly request: AnswerRequest;
  /** The members, each once. */
  readonly models: readonly string[];
  /** At least one. */
  readonly drafts: readonly Draft[];
}

/** Chooses a draft by its index; `prompt_tokens`: what models have read for that, which the caller pays. */
export type Verifier = (
  asked: ToChoose,
  signal: AbortSignal,
) => Promise<{ readonly chosen: number; readonly prompt_tokens: number }>;

export function draftOf(member: number, model: string, events: readonly AnswerEvent[]): Draft {
  const tokens = events.filter((event) => event.kind === 'token');
  const ended = events.find((event) => event.kind === 'ended');
  const bytes = tokens.flatMap(({ logprob }) => [...(logprob?.bytes ?? [])]);
  return {
    ...{ member, model, events, ids: tokens.map(({ id }) => id), end_id: ended?.end_id ?? null },
    text: tokens.map(({ text }) => text).join('') + (ended?.text ?? ''),
    raw: new TextDecoder().decode(Uint8Array.from(bytes)),
  };
}

/** The first of the greatest values. */
const greatest = (values: readonly number[]): number => values.indexOf(Math.max(...values));

/**
 * Takes the first answer that passes a check, and chooses with `otherwise` where none does. The check is a program (games/programs): a function of
 * {prompt, answer}, where `prompt` is the text or the last message, that gives back true for a right answer. Whatever else it gives back or does is no.
 * Throws GameError `could-not-run` where this device cannot run it.
 */
export function checkedBy(program: string, run: RunProgram, otherwise: Verifier): Verifier {
  return async (asked, signal) => {
    const prompt = lastText(asked.request);
    for (const [chosen, { text }] of asked.drafts.entries()) {
      signal.throwIfAborted();
      const result = await run(program, { prompt, answer: text });
      if (result.kind === 'value' && result.value === true) return { chosen, prompt_tokens: 0 };
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
  const votes = (text: string): number => drafts.filter((draft) => draft.text === text).length;
  return { chosen: greatest(drafts.map(({ text }) => votes(text))), prompt_tokens: 0 };
};

/**
 * Takes the answer whose tokens have the greatest mean logprob under all members: each reads every answer behind its own prompt, as an echo. A
 * member that cannot is left out for all answers. Throws what the last one failed with where none can.
 */
export const likeliestToAll: Verifier = async ({ server, request, models, drafts }, signal) => {
  if (drafts.length === 1) return { chosen: 0, prompt_tokens: 0 };
  const totals = drafts.map(() => 0);
  let prompt_tokens = 0;
  let able = 0;
  let last: unknown = null;
  for (const model of models) {
    try {
      const scores: number[] = [];
      const reader = await openReader(server, model, request, signal);
      const end_id = drafts.find((draft) => draft.model === model && draft.end_id !== null)?.end_id ?? null;
      for (const draft of drafts) {
        const ids = draft.model === model ? [...draft.ids] : await reader.encode(draft.raw);
        // How an answer ends is a part of it: else the beginning of a good one would be the best.
        if (draft.end_id !== null && end_id !== null) ids.push(end_id);
        if (ids.length > 0) prompt_tokens += reader.prompt_length + ids.length;
        scores.push(ids.length > 0 ? await reader.meanLogprob(ids) : Number.NEGATIVE_INFINITY);
      }
      for (const [i, score] of scores.entries()) totals[i] += score;
      able++;
    } catch (error) {
      if (signal.aborted || !(error instanceof ServingError)) throw error;
      last = error;
    }
  }
  if (able === 0) throw last;
  return { chosen: greatest(totals), prompt_tokens };
};

/** A model as a reader of others' answers. With `max_tokens` 0 a model only says its prompt's tokens, and computes nothing unless logprobs are asked for. */
async function openReader(server: AnswerServer, model: string, request: AnswerRequest, signal: AbortSignal) {
  const echo = async (prompt: AnswerRequest['prompt'], top_logprobs: number | null) => {
    const said = {
      model,
      prompt,
      top_logprobs,
      echo: true,
      max_tokens: 0,
      stop: [],
      format: { kind: 'text' } as const,
    };
    const tokens: Extract<AnswerEvent, { kind: 'token' }>[] = [];
    for await (const event of server.answer({ ...request, ...said }, signal)) {
      if (event.kind === 'token') tokens.push(event);
    }
    return tokens;
  };
  const idsOf = async (prompt: AnswerRequest['prompt']) => (await echo(prompt, null)).map(({ id }) => id);
  const prompt = await idsOf(request.prompt);
  /** The model's beginning of a text, which is in front of every text but not of an answer. */
  let beginning: number | null = null;
  return {
    prompt_length: prompt.length,
    async encode(text: string): Promise<number[]> {
      if (text === '') return [];
      beginning ??= await idsOf({ kind: 'text', text: '' }).then(
        (ids) => ids.length,
        (error) => {
          if (error instanceof ServingError && error.code === 'bad-input') return 0; // it has none
          throw error;
        },
      );
      return (await idsOf({ kind: 'text', text })).slice(beginning);
    },
    async meanLogprob(ids: readonly number[]): Promise<number> {
      const read = await echo({ kind: 'ids', ids: [...prompt, ...ids] }, 0);
      return read.slice(prompt.length).reduce((sum, { logprob }) => sum + logprob!.logprob, 0) / ids.length;
    },
  };
}
