// How a model's tokenizer reads the beginning of a text, for the person who has written it.
import type { Tokenizer } from '../../model/tokenizer.ts';

/** How much of a prompt that is read differently is shown. */
const SHOWN_CHARACTERS = 120;

/** The beginning as the tokenizer reads it, where that differs; null where it is the same. */
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
