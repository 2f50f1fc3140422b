// A Hugging Face tokenizer.json, computed with the ids of the Rust library `tokenizers`. What is not supported is refused by name.
import { z } from 'zod';
import { firstIssue } from '../../errors.ts';
import { ModelError } from '../errors.ts';
import { AddedTokenSchema, addedIds, addedTokens } from './added-tokens.ts';
import { bpe } from './bpe.ts';
import { toByteCharacters } from './byte-characters.ts';
import { ComponentSchema } from './component.ts';
import { decoder, tokenBytes } from './decoders.ts';
import { IdList } from './id-list.ts';
import { normalizer } from './normalizers.ts';
import { preTokenizer } from './pre-tokenizers.ts';
import { remembering, type TokenModel } from './token-model.ts';
import { unigram } from './unigram.ts';
import { wordLevel, wordPiece } from './words.ts';

/** Truncation, padding and post-processing are ignored: training and generation need all ids of the text and no others. */
const TokenizerJsonSchema = z.looseObject({
  added_tokens: z.array(AddedTokenSchema).nullish(),
  model: z.looseObject({ type: z.string().nullish(), vocab: z.unknown() }),
  normalizer: ComponentSchema.nullish(),
  pre_tokenizer: ComponentSchema.nullish(),
  decoder: ComponentSchema.nullish(),
});

/** The functions of a tokenizer.json. */
export interface TokenizerPipeline {
  /** Every token by its id. */
  readonly tokens: ReadonlyMap<number, string>;
  idOf(token: string): number | undefined;
  /** Special tokens that are spelled out in the text are recognised where `special` says so. */
  encode(text: string, special: boolean): Uint32Array;
  /** Ids without a token are left out. */
  decode(ids: readonly number[]): string;
  /** The bytes of UTF-8 that a token stands for within a text; none for special tokens and for ids without a token. */
  bytesOf(id: number): Uint8Array;
}

/** Throws ModelError `bad-tokenizer` or `unsupported`, naming the component. */
export function openTokenizerJson(value: unknown): TokenizerPipeline {
  const result = TokenizerJsonSchema.safeParse(value);
  if (!result.success) throw new ModelError('bad-tokenizer', firstIssue(result.error));
  const { added_tokens, ...parts } = result.data;
  const model = tokenModel(parts.model);
  const ids = addedIds(added_tokens ?? [], model.vocab);
  const added = addedTokens(added_tokens ?? [], ids, normalizer(parts.normalizer));
  const { cut, toBytes } = preTokenizer(parts.pre_tokenizer);
  const encodePiece = remembering((piece, list) => model.encode(toBytes ? toByteCharacters(piece) : piece, list));
  const toText = decoder(parts.decoder);
  const toBytesOf = tokenBytes(parts.decoder);
  const tokens = new Map([...model.vocab, ...ids].map(([token, id]) => [id, token]));
  return {
    tokens,
    idOf: (token) => ids.get(token) ?? model.vocab.get(token),
    encode(text, special) {
      const list = new IdList(16 + (text.length >> 1));
      // Half a surrogate pair is not a character: it becomes U+FFFD, as in UTF-8.
      for (const part of added.split(text.toWellFormed(), special)) {
        if ('id' in part) list.push(part.id);
        else for (const piece of cut(part.text, part.isFirst)) encodePiece(piece, list);
      }
      return list.toArray();
    },
    bytesOf(id) {
      const text = added.special_ids.has(id) ? undefined : (added.texts.get(id) ?? tokens.get(id));
      return text === undefined ? new Uint8Array() : toBytesOf(text);
    },
    decode: (list) => toText(list.flatMap((id) => added.texts.get(id) ?? tokens.get(id) ?? [])),
  };
}

function tokenModel(description: { readonly type?: string | null; readonly vocab?: unknown }): TokenModel {
  switch (description.type ?? guessedType(description)) {
    case 'BPE':
      return bpe(description);
    case 'Unigram':
      return unigram(description);
    case 'WordPiece':
      return wordPiece(description);
    case 'WordLevel':
      return wordLevel(description);
    default:
      throw new ModelError('bad-tokenizer', `model.type ${JSON.stringify(description.type ?? null)} is not known`);
  }
}

/** Old files do not name the type of their model. */
function guessedType(description: object): string | null {
  if ('merges' in description) return 'BPE';
  if ('max_input_chars_per_word' in description) return 'WordPiece';
  if ('vocab' in description && Array.isArray(description.vocab)) return 'Unigram';
  return 'vocab' in description && 'unk_token' in description ? 'WordLevel' : null;
}
