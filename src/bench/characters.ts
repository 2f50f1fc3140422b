// Text as characters, a token each: the vocabulary of 65 that nanoGPT's smallest model and config (a) of `bench compute` have.
import { type Tokenizer, vocabularyJson } from '../model/tokenizer.ts';

/** Those of Tiny Shakespeare, in the order of their code points. */
export const CHARACTERS = ["\n !$&',-.3:;?", 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz'].join('');

/** A text with only these characters: every other one becomes a space. */
export function inCharacters(text: string): string {
  const known = new Set(CHARACTERS);
  return Array.from(text, (character) => (known.has(character) ? character : ' ')).join('');
}

/** One id a character, 65 in all. Its json describes the same tokens for readers of the model. */
export function characterTokenizer(): Tokenizer {
  const vocab = Object.fromEntries(Array.from(CHARACTERS, (character, id) => [character, id]));
  return {
    vocab_size: CHARACTERS.length,
    bos_id: null,
    eos_id: null,
    encode: (text) => Uint32Array.from(inCharacters(text), (character) => vocab[character]),
    decode: (ids) => Array.from(ids, (id) => CHARACTERS[id] ?? '\ufffd').join(''),
    bytesOf: (id) => new TextEncoder().encode(CHARACTERS[id]),
    json: vocabularyJson(vocab, { added_tokens: [], pre_tokenizer: null, decoder: { type: 'Fuse' } }),
  };
}
