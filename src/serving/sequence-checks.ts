// What every engine's sequences refuse, in the same words: tokens that are none or do not fit, and going back to where they have not been.
import { ServingError } from './errors.ts';

export interface SequenceNow {
  /** Tokens that it holds. */
  readonly length: number;
  readonly capacity: number;
  readonly vocab_size: number;
}

/** Throws ServingError `bad-input`. */
export function checkAppend(ids: readonly number[], { length, capacity, vocab_size }: SequenceNow): void {
  if (ids.length === 0) throw new ServingError('bad-input', 'sequence: at least one token is needed');
  if (length + ids.length > capacity) {
    const fact = `${length} + ${ids.length} tokens, there is room for ${capacity}`;
    throw new ServingError('bad-input', `sequence: ${fact}`, { length, tokens: ids.length, capacity });
  }
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocab_size);
  if (wrong === undefined) return;
  throw new ServingError('bad-input', `sequence: the token ${wrong} is not in 0..${vocab_size - 1}`);
}

/** Throws ServingError `bad-input`. */
export function checkRewind(to: number, length: number): void {
  if (Number.isInteger(to) && to >= 0 && to <= length) return;
  throw new ServingError('bad-input', `sequence: rewind to ${to}, but it has ${length} tokens`);
}
