// Judges an answer that somebody else has served: one prefill gives the logits of every draw, and each draw is repeated (model/margin.ts).
import { marginOf } from '../model/margin.ts';
import type { SumLimits } from '../model/margin-sum.ts';
import { addDraw, type MarginLimits, type MarginTally, marginFault, NO_DRAWS } from '../model/margin-tally.ts';
import type { AnswerFlaw } from '../protocol/serving-from-peer.ts';
import { type AnswerProgress, answerProgress, answerRoom } from './answer-progress.ts';
import type { AnswerRequest } from './answers.ts';
import { ServingError } from './errors.ts';
import { logSum } from './logprobs.ts';
import { scoredRows } from './scored-rows.ts';
import { append, grammarOf, promptIds, type ReadyModel, stopsOf, writtenTexts } from './write-answer.ts';

/** An answer, or the part of it behind the request's `written` tokens, as whoever served it signed it. */
export interface ServedAnswer {
  /** The end token included, where one ended it. */
  readonly ids: readonly number[];
  /** A call of tools ends as a stop. 'cut': the caller went away before the end. */
  readonly reason: 'stop' | 'length' | 'cut';
  /** The logprob of each id, where some were sent; of an end token there may be none, as no caller gets it. */
  readonly logprobs?: readonly number[] | undefined;
}

export interface Judged {
  readonly flaw: AnswerFlaw | null;
  readonly prompt_tokens: number;
  /** Up to the flaw. */
  readonly tally: MarginTally;
  /** The mean distance of the served logprobs from the judge's own, in nats; null: none were sent. */
  readonly logprob_distance: number | null;
}

/**
 * Reads an answer as a judge. What the request has as `written` is taken as it is: whoever wrote that is judged for it. Throws ServingError
 * for requests that nobody can answer, and what the engine throws.
 */
export async function judgeAnswer(
  ready: ReadyModel,
  request: AnswerRequest,
  served: ServedAnswer,
  signal: AbortSignal,
): Promise<Judged> {
  const { engine, prefixes } = ready;
  const { tokens } = engine.model;
  const prompt = promptIds(ready, request);
  const ends = { ...request, stop: stopsOf(ready, request) };
  const progress = answerProgress(engine.model, ends, prompt.length, grammarOf(ready, request));
  for (const _ of writtenTexts(progress, request)); // brings the progress to where the judged tokens begin
  const room =
    progress.over === null ? answerRoom(engine.model, prompt.length, request.max_tokens) - progress.length : 0;
  const ids = served.ids.slice(0, room);
  const judge = drawJudge(progress, request, served, tokens.end_ids);
  const early = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= tokens.vocab_size);
  if (ids.length === 0 || early !== undefined) {
    const flaw = early !== undefined ? 'impossible-token' : served.ids.length > 0 ? 'past-the-end' : judge.flaw();
    return { flaw, prompt_tokens: prompt.length, tally: NO_DRAWS, logprob_distance: null };
  }
  const given = [...prompt, ...request.written];
  const read = [...given, ...ids.slice(0, -1)];
  const first = given.length - 1;
  const known = await prefixes.take(given, read.length, first);
  let broken = true;
  try {
    const unread = read.slice(known.tokens.length, first);
    if (unread.length > 0) await append(known, unread, signal);
    for await (const logits of scoredRows(known, read.slice(first), tokens.vocab_size, signal)) {
      if (!judge.draw(logits)) break;
    }
    broken = false;
  } finally {
    const whole = !broken || signal.aborted;
    await prefixes.giveBack(known, whole && known.sequence.length === known.tokens.length);
  }
  return { flaw: judge.flaw(), prompt_tokens: prompt.length, ...judge.sums() };
}

/** Repeats the draws of an answer, one after the other. */
function drawJudge(
  progress: AnswerProgress,
  { sampling }: AnswerRequest,
  { ids, reason, logprobs }: ServedAnswer,
  end_ids: readonly number[],
) {
  let tally = NO_DRAWS;
  let distance = 0;
  let ended = false;
  let found: AnswerFlaw | null = null;
  const endsWithout = logprobs?.length === ids.length - 1 && end_ids.includes(ids.at(-1)!);
  const isWhole = logprobs?.length === ids.length || endsWithout;
  if (logprobs && !(isWhole && logprobs.every((value) => value <= LARGEST_LOGPROB))) found = 'bad-logprobs';
  return {
    /** Judges the next id; false: there is nothing more to judge. */
    draw(logits: Float32Array): boolean {
      const index = tally.draws;
      const id = ids[index];
      const drawn = marginOf(logits, sampling, progress.place(), id);
      tally = addDraw(tally, drawn, id, end_ids);
      if (logprobs && index < logprobs.length)
        distance += Math.min(FARTHEST, Math.abs(logits[id] - logSum(logits) - logprobs[index]));
      if (!Number.isFinite(drawn.margin)) found ??= 'impossible-token';
      else if (end_ids.includes(id)) ended = true;
      else found ??= pushFlaw(progress, id);
      if (found === null && (ended || progress.over !== null) && index + 1 < ids.length) found = 'past-the-end';
      return found === null && index + 1 < ids.length;
    },
    flaw(): AnswerFlaw | null {
      if (found) return found;
      if (reason === 'cut') return null;
      return reason === (ended ? 'stop' : progress.over) ? null : 'wrong-end';
    },
    sums() {
      const told = Math.min(tally.draws, logprobs?.length ?? 0);
      return { tally, logprob_distance: told > 0 ? distance / told : null };
    },
  };
}

/** Rounding may leave a certain token's logprob a little above 0. */
const LARGEST_LOGPROB = 1e-3;
/** One absurd number counts as far away, and does not make a mean infinite. */
const FARTHEST = 20;

function pushFlaw(progress: AnswerProgress, id: number): AnswerFlaw | null {
  try {
    progress.push(id);
    return null;
  } catch (error) {
    if (error instanceof ServingError) return 'impossible-token';
    throw error;
  }
}

/** What honest answers of a model stay below, served in one quantisation and judged in another. */
export interface JudgingLimits extends MarginLimits, SumLimits {
  /** Of the logprobs that are sent beside tokens, in nats. */
  readonly logprob_distance: number;
}

/** The verdict on an answer: null, or what is wrong with it. What is a little too much each time is for the sum of many answers to find. */
export function faultOf(judged: Judged, limits: JudgingLimits): AnswerFlaw | 'margin' | 'end' | 'logprobs' | null {
  const fault = judged.flaw ?? marginFault(judged.tally, limits);
  if (fault) return fault;
  return (judged.logprob_distance ?? 0) > limits.logprob_distance ? 'logprobs' : null;
}
