// A serving claim as bytes: the ids of each answer, in the order of the requests.
import { z } from 'zod';
import { GameError } from '../errors.ts';
import type { ServeParams } from './params.ts';

const id = z.int().nonnegative();

/** Throws GameError `bad-work` for bytes that are no answers to a round's requests. */
export function decodeAnswers(params: ServeParams, work: Uint8Array): number[][] {
  const schema = z.array(
    z
      .array(id.max(params.model.vocab_size - 1))
      .min(1)
      .max(params.max_tokens),
  );
  try {
    return schema
      .min(1)
      .max(params.answers)
      .parse(JSON.parse(new TextDecoder().decode(work)));
  } catch {
    const most = `at most ${params.answers} answers of 1 to ${params.max_tokens} ids`;
    throw new GameError('bad-work', `work: expected JSON of ${most}, got ${work.length} bytes`);
  }
}

export const encodeAnswers = (answers: readonly (readonly number[])[]): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(answers));

/** An id and its comma. */
const ID_BYTES = 8;
export const mostBytes = ({ answers, max_tokens }: ServeParams): number => 16 + answers * (4 + ID_BYTES * max_tokens);

/** Whether an answer is whole: it ends with its first end token, or has as many tokens as it may. */
export function isWhole({ end_ids, max_tokens }: ServeParams, ids: readonly number[]): boolean {
  const end = ids.findIndex((one) => end_ids.includes(one));
  return end >= 0 ? end === ids.length - 1 : ids.length === max_tokens;
}
