// Added tokens, which are recognised in the text itself, before or after normalization (tokenizers/src/tokenizer/added_vocabulary.rs).
import { z } from 'zod';
import { ModelError } from '../errors.ts';
import { endWithoutSpace, type Normalizer } from './normalizers.ts';
import { Trie } from './trie.ts';

export const AddedTokenSchema = z.looseObject({
  id: z.int().min(0),
  content: z.string(),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().optional(),
  special: z.boolean().default(false),
});
export type AddedToken = z.infer<typeof AddedTokenSchema>;

/** A piece of a text: the id of an added token, or text that is still to be encoded. */
export type Part = { readonly id: number } | { readonly text: string; readonly isFirst: boolean };

/**
 * The ids of added tokens, assigned as Hugging Face does: a token of the model keeps the model's id, another takes the next free one.
 * Throws ModelError `bad-tokenizer` where the file gives another id, because rows of the model would be confused; it names token and ids.
 */
export function addedIds(tokens: readonly AddedToken[], vocab: ReadonlyMap<string, number>): Map<string, number> {
  const ids = new Map<string, number>();
  let largest = -1; // of added tokens
  for (const { content, id: stated } of tokens) {
    if (content === '' || ids.has(content)) continue;
    const free = largest >= vocab.size || vocab.size === 0 ? largest + 1 : vocab.size;
    const id = vocab.get(content) ?? free;
    if (id !== stated) {
      const fact = `the added token ${JSON.stringify(content)} has the id ${stated} in the file, Hugging Face's tokenizers give it ${id}`;
      throw new ModelError('bad-tokenizer', fact, { content, stated, id });
    }
    ids.set(content, id);
    largest = Math.max(largest, id);
  }
  return ids;
}

/** Finds the added tokens of one kind in a text, the leftmost first, and of those at one place the longest. */
function finder(tokens: readonly { readonly content: string; readonly token: AddedToken; readonly id: number }[]) {
  const trie = new Trie();
  for (const [at, { content }] of tokens.entries()) trie.set(content, at);
  const beginnings = new Set(tokens.map(({ content }) => content.charCodeAt(0)));
  return (text: string, isFirst: boolean, special: boolean): Part[] => {
    const parts: Part[] = [];
    let done = 0;
    const pushText = (end: number): void => {
      if (end > done) parts.push({ text: text.slice(done, end), isFirst: isFirst && done === 0 });
    };
    for (let at = 0; at < text.length; ) {
      const found = beginnings.has(text.charCodeAt(at)) ? trie.longest(text, at) : null;
      if (!found) {
        at++;
        continue;
      }
      const { token, id } = tokens[found.value];
      let [start, end] = [at, found.end];
      at = end;
      if (token.special && !special) continue;
      if (token.single_word && (endsWithWord(text.slice(0, start)) || startsWithWord(text.slice(end)))) continue;
      if (token.lstrip) start = Math.max(done, endWithoutSpace(text.slice(0, start)));
      if (token.rstrip) end += /^\p{White_Space}*/u.exec(text.slice(end))![0].length;
      pushText(start);
      // The match before may have taken all of the white space.
      if (end > start) parts.push({ id });
      done = end;
    }
    pushText(text.length);
    return parts;
  };
}

const WORD = String.raw`[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]`;
const FIRST_OF_WORD = new RegExp(`^${WORD}`, 'u');
const LAST_OF_WORD = new RegExp(`${WORD}$`, 'u');
const startsWithWord = (text: string): boolean => FIRST_OF_WORD.test(text);
/** Looks at the last character only, which may have two UTF-16 units. */
const endsWithWord = (text: string): boolean => LAST_OF_WORD.test(text.slice(-2));

/** Whether normalization keeps something of a text's first character; if not, what remains is not the beginning of the text. */
function isKept(text: string, { normalize, countsFromFirst }: Normalizer): boolean {
  return countsFromFirst || normalize(String.fromCodePoint(text.codePointAt(0)!)) !== '';
}

/** Added tokens in use: which there are, where they are in a text, and the text of their ids. */
export interface AddedTokens {
  /**
   * Splits a text at the tokens that are matched before normalization, then the normalised rest at the others. Special tokens are
   * ordinary text unless `special`.
   */
  split(text: string, special: boolean): Part[];
  /** The text of an id: the token, normalised if it is matched so. */
  readonly texts: ReadonlyMap<number, string>;
  /** The ids of those that are special: they steer the model and are no text. */
  readonly special_ids: ReadonlySet<number>;
}

/** Throws ModelError `bad-tokenizer` for a token that normalization leaves empty, because it would match everywhere. */
export function addedTokens(
  tokens: readonly AddedToken[],
  ids: ReadonlyMap<string, number>,
  normalizer: Normalizer,
): AddedTokens {
  const { normalize } = normalizer;
  const distinct = new Map<string, AddedToken>();
  for (const token of tokens)
    if (token.content !== '' && !distinct.has(token.content)) distinct.set(token.content, token);
  const listed = [...distinct.values()].map((token) => {
    const normalized = token.normalized ?? !token.special;
    const content = normalized ? normalize(token.content) : token.content;
    if (content !== '') return { token, id: ids.get(token.content)!, normalized, content };
    const fact = `nothing is left of the added token ${JSON.stringify(token.content)} when it is normalised`;
    throw new ModelError('bad-tokenizer', fact);
  });
  for (const { content, normalized, token } of listed) {
    const same = listed.find((other) => other.content === content && other.normalized === normalized);
    if (same?.token === token) continue;
    const both = `${JSON.stringify(same?.token.content)} and ${JSON.stringify(token.content)}`;
    throw new ModelError('bad-tokenizer', `the added tokens ${both} are the same when they are normalised`);
  }
  const findPlain = finder(listed.filter(({ normalized }) => !normalized));
  const findNormalized = finder(listed.filter(({ normalized }) => normalized));
  return {
    split: (text, special) =>
      findPlain(text, true, special).flatMap((part) =>
        'id' in part
          ? [part]
          : findNormalized(normalize(part.text), part.isFirst && isKept(part.text, normalizer), special),
      ),
    texts: new Map(listed.map(({ id, content }) => [id, content])),
    special_ids: new Set(listed.flatMap(({ id, token }) => (token.special ? [id] : []))),
  };
}
