// What the four models of a tokenizer.json have in common: a vocabulary, and the ids of a piece of text. Words that come again are remembered.
import { z } from 'zod';
import { ModelError } from '../errors.ts';
import type { IdList } from './id-list.ts';

export interface TokenModel {
  /** Every token with its id. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Appends the ids of a piece. Throws ModelError `bad-input` where the model has no token for a part of it. */
  encode(piece: string, ids: IdList): void;
}

/** Longer pieces are seldom met again. */
const LONGEST_REMEMBERED = 64;
/** Words of a large corpus; with their ids some 20 MB. Then it begins anew: what is frequent is soon back. */
const MOST_REMEMBERED = 100_000;

/** The same encoding, with the ids of short pieces remembered. */
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

/** The same text in memory of its own: a slice would hold on to the whole document that it was cut from. */
function copied(text: string): string {
  let copy = '';
  for (let i = 0; i < text.length; i++) copy += String.fromCharCode(text.charCodeAt(i));
  return copy;
}

const VocabSchema = z.record(z.string(), z.int().min(0));

/** A vocabulary that is written as an object. Throws ModelError `bad-tokenizer`, also where two tokens have one id. */
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
