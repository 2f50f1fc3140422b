// What the four models of a tokenizer.json share: a vocabulary, and the ids of a piece of text. The ids of repeated words are cached.
import { z } from 'zod';
import { ModelError } from '../errors.ts';
import type { IdList } from './id-list.ts';

export interface TokenModel {
  /** Every token with its id. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Appends the ids of a piece. Throws ModelError `bad-input` where the model has no token for a part of it. */
  encode(piece: string, ids: IdList): void;
}

/** Longer pieces seldom occur again, so they are not cached. */
const LONGEST_REMEMBERED = 64;
/** How many words are cached, with their ids some 20 MB. Then the cache is cleared; frequent words are soon back. */
const MOST_REMEMBERED = 100_000;

/** The same encoding with a cache for the ids of short pieces. */
export function remembering(encode: (piece: string, ids: IdList) => void): (piece: string, ids: IdList) => void {
  const known = new Map<string, Uint32Array>();
  return (piece, ids) => {
    if (piece.length > LONGEST_REMEMBERED) return encode(piece, ids);
    const found = known.get(piece);
    if (found) return ids.pushAll(found);
    const from = ids.length;
    encode(piece, ids);
    if (known.size >= MOST_REMEMBERED) known.clear();
    known.set(copied(piece), ids.toArray(from));
  };
}

/** The same text in its own memory: a slice would keep alive the whole document that it was cut from. */
function copied(text: string): string {
  let copy = '';
  for (let i = 0; i < text.length; i++) copy += String.fromCharCode(text.charCodeAt(i));
  return copy;
}

const VocabSchema = z.record(z.string(), z.int().min(0));

/** The vocabulary of an object. Throws ModelError `bad-tokenizer`, also where two tokens have one id. */
export function vocabOf(value: unknown): Map<string, number> {
  if (!VocabSchema.safeParse(value).success) {
    throw new ModelError('bad-tokenizer', 'model.vocab: expected an object of tokens with their ids');
  }
  const vocab = new Map(Object.entries(value as Record<string, number>));
  const tokens = new Map<number, string>();
  for (const [token, id] of vocab) {
    const other = tokens.get(id);
    if (other !== undefined) {
      const both = `${JSON.stringify(other)} and ${JSON.stringify(token)}`;
      throw new ModelError('bad-tokenizer', `model.vocab: ${both} have the same id ${id}`);
    }
    tokens.set(id, token);
  }
  return vocab;
}
