// What a model's tokenizer makes of the beginning of a text, for the person who has written it.
import type { Tokenizer } from '../../model/tokenizer.ts';

/** Of a prompt that is read otherwise than it was written: enough to see how. */
const SHOWN_CHARACTERS = 120;

/** The beginning as the tokenizer reads it, where that is something else; null where it is the same. */
export function readAs(prompt: string, tokenizer: Tokenizer): string | null {
  const read = tokenizer.decode(tokenizer.encode(prompt));
  if (read.trim() === prompt.trim()) return null;
  return read.length > SHOWN_CHARACTERS ? `… ${read.slice(-SHOWN_CHARACTERS)}` : read;
}

/** Why nothing can be written from a beginning, in a sentence; null where something can. */
export function unreadable(prompt: string, tokenizer: Tokenizer): string | null {
  if (tokenizer.bos_id !== null || tokenizer.encode(prompt).length > 0) return null;
  return prompt === ''
    ? 'This model cannot begin from nothing: write at least one character.'
    : 'This model knows none of these characters: begin with others.';
}
