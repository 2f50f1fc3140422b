// A teacher's tokens as the student's ids, by the bytes that they stand for. A teacher whose tokens are others is refused.
import type { Tokenizer } from '../../model/tokenizer.ts';
import type { Likely } from '../../training/soft-shards.ts';
import { type AnsweredToken, type NamedToken, TeacherError } from './teacher.ts';

/** Texts cut otherwise than the student's tokenizer cuts them take more tokens; a model writes a few such by chance. */
const MOST_TOKENS_BESIDE = 1.1;
/** Shorter texts say little of how they are cut. */
const LEAST_COMPARED_TOKENS = 200;

export interface TokenNames {
  /** The ids and the likeliest of each token. Throws TeacherError `other-tokens`. */
  read(tokens: readonly AnsweredToken[]): { readonly ids: number[]; readonly rows: Likely[][] };
}

/** The names of a student's tokens. */
export function tokenNames(tokenizer: Tokenizer, teacher: string): TokenNames {
  const spelled = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  const ids = new Map<string, number>();
  const unused = new Set(tokenizer.unused_ids);
  for (let id = 0; id < tokenizer.vocab_size; id++) {
    if (unused.has(id)) continue;
    const bytes = tokenizer.bytesOf(id);
    // Of two tokens with the same bytes the later one: the earlier is a byte for what no piece of text covers.
    if (bytes.length > 0) ids.set(spelled(bytes), id);
  }
  const { eos_id } = tokenizer;
  const end = eos_id === null ? null : (tokenizer.tokenOf?.(eos_id) ?? tokenizer.decode([eos_id]));
  /** Endpoints name the end of a text by its special token, or by nothing. */
  const idOf = ({ bytes, name }: NamedToken): number | undefined => {
    if (eos_id !== null && (name === '' || name === end)) return eos_id;
    return bytes === null ? undefined : ids.get(spelled(bytes));
  };
  const compared = { theirs: 0, ours: 0 };
  const other = (fact: string) =>
    new TeacherError(
      'other-tokens',
      `the tokens of ${teacher} are not the student's: ${fact}; take a student with the teacher's tokenizer`,
    );

  return {
    read(tokens) {
      const found = tokens.map((token) => {
        const id = idOf(token);
        if (id === undefined) throw other(`it has ${JSON.stringify(token.name)}, which is none of the student's`);
        return id;
      });
      compared.theirs += found.length;
      compared.ours += tokenizer.encode(tokenizer.decode(found)).length;
      if (compared.theirs >= LEAST_COMPARED_TOKENS && compared.theirs > MOST_TOKENS_BESIDE * compared.ours) {
        throw other(`it cuts into ${compared.theirs} tokens what the student's tokenizer cuts into ${compared.ours}`);
      }
      return { ids: found, rows: tokens.map((token) => likely(token, idOf)) };
    },
  };
}

/** The likeliest tokens that the student has too; two names of one token are added up. */
function likely({ top }: AnsweredToken, idOf: (token: NamedToken) => number | undefined): Likely[] {
  const found = new Map<number, number>();
  for (const token of top) {
    const id = idOf(token);
    if (id !== undefined) found.set(id, (found.get(id) ?? 0) + Math.exp(token.logprob));
  }
  return [...found].map(([id, probability]) => [id, Math.log(probability)] as const);
}
