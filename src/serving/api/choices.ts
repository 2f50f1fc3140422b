// The answers to one request: one after the prompt, or several with seeds of their own, as one stream of events.
import type { AnswerEvent, AnswerRequest, AnswerServer } from '../answers.ts';
import { ServingError } from '../errors.ts';

export interface ChoiceEvent {
  /** Which of the answers, from 0. */
  readonly choice: number;
  readonly event: AnswerEvent;
}

/** The seed of each of several answers: the first has the caller's own, so that one answer is the same as the first of many. */
export const seedOf = (seed: string, choice: number): string => (choice === 0 ? seed : `${seed}/${choice}`);

/**
 * Streams all answers as their events come, those of one answer in order. Answers for which there is no place wait for those before them;
 * the request is refused where there is no place for any. An answer that fails ends the others, and so does a caller who stops reading.
 */
export async function* answersOf(
  server: AnswerServer,
  requests: readonly AnswerRequest[],
  signal: AbortSignal,
): AsyncGenerator<ChoiceEvent> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const streams = new Map<number, AsyncIterator<AnswerEvent>>();
  const pending = new Map<number, ReturnType<typeof nextOf>>();
  const waiting = [...requests.keys()];

  /** The next event of an answer, or that there is no place for it. */
  const nextOf = async (choice: number) => {
    const first = !streams.has(choice);
    if (first) streams.set(choice, server.answer(requests[choice], either)[Symbol.asyncIterator]());
    try {
      return { choice, next: await streams.get(choice)!.next() };
    } catch (error) {
      if (!first || !(error instanceof ServingError) || error.code !== 'no-room') throw error;
      return { choice, refusal: error };
    }
  };

  try {
    for (const choice of waiting.splice(0)) pending.set(choice, nextOf(choice));
    while (pending.size > 0) {
      const found = await Promise.race(pending.values());
      const { choice } = found;
      pending.delete(choice);
      if ('refusal' in found) {
        streams.delete(choice);
        waiting.push(choice);
        if (pending.size === 0) throw found.refusal;
      } else if (found.next.done) {
        const next = waiting.sort((a, b) => a - b).shift();
        if (next !== undefined) pending.set(next, nextOf(next));
      } else {
        yield { choice, event: found.next.value };
        pending.set(choice, nextOf(choice));
      }
    }
  } finally {
    over.abort(new Error('nobody reads this answer any more'));
    await Promise.allSettled([...pending.values(), ...[...streams.values()].map((stream) => stream.return?.())]);
  }
}
