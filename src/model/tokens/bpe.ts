// Byte-pair encoding (arXiv 1508.07909) with the ids of Hugging Face's tokenizers (tokenizers/src/models/bpe), in linear time where possible.
import { z } from 'zod';
import { firstIssue } from '../../errors.ts';
import { ModelError } from '../errors.ts';
import type { IdList } from './id-list.ts';
import { MergeTable, mergeSymbols, Symbols } from './merges.ts';
import { remembering, type TokenModel, vocabOf } from './token-model.ts';

const BpeSchema = z.looseObject({
  dropout: z.number().nullish(),
  unk_token: z.string().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  fuse_unk: z.boolean().nullish(),
  byte_fallback: z.boolean().nullish(),
  ignore_merges: z.boolean().nullish(),
  merges: z.array(z.union([z.string(), z.array(z.string()).length(2)])),
});

const encoder = new TextEncoder();

/** Throws ModelError `bad-tokenizer` (a merge of tokens that do not exist) or `unsupported` (dropout). */
export function bpe(description: unknown): TokenModel {
  const result = BpeSchema.safeParse(description);
  if (!result.success) throw new ModelError('bad-tokenizer', `model: ${firstIssue(result.error)}`);
  const { dropout, merges, unk_token, ignore_merges } = result.data;
  if (dropout) throw new ModelError('unsupported', `model.dropout ${dropout}: random ids are not supported`);
  const vocab = vocabOf((description as { vocab?: unknown }).vocab);
  const affixes = {
    prefix: result.data.continuing_subword_prefix ?? '',
    suffix: result.data.end_of_word_suffix ?? '',
  };
  if (typeof unk_token === 'string' && !vocab.has(unk_token)) {
    throw new ModelError('bad-tokenizer', `model.unk_token ${JSON.stringify(unk_token)} is not in the vocabulary`);
  }
  const { table, products } = mergeTable(merges, vocab, affixes.prefix);
  const symbolize = symbolizer(vocab, affixes, {
    unk_id: typeof unk_token === 'string' ? vocab.get(unk_token)! : null,
    fuse_unk: result.data.fuse_unk ?? false,
    byte_fallback: result.data.byte_fallback ?? false,
  });
  const encodeWhole = (word: string, ids: IdList): void => mergeSymbols(symbolize(word), table, ids);
  const encodeWord = remembering(encodeWhole);
  const isCut = affixes.prefix === '' && affixes.suffix === '' ? cutter(vocab, products) : () => false;
  return {
    vocab,
    encode(piece, ids) {
      const whole = ignore_merges ? vocab.get(piece) : undefined;
      if (whole !== undefined) return ids.push(whole);
      let start = 0;
      for (let at = 1; at < piece.length; at++) {
        if (!isCut(piece.charCodeAt(at - 1), piece.charCodeAt(at))) continue;
        encodeWord(piece.slice(start, at), ids);
        start = at;
      }
      encodeWord(start === 0 ? piece : piece.slice(start), ids);
    },
  };
}

/** The merges by rank, and the tokens that they make. */
function mergeTable(
  merges: readonly (string | readonly string[])[],
  vocab: ReadonlyMap<string, number>,
  prefix: string,
) {
  const table = new MergeTable(merges.length);
  const products: string[] = [];
  for (const [rank, merge] of merges.entries()) {
    const parts = typeof merge === 'string' ? merge.split(' ') : merge;
    const [left, right] = parts;
    if (parts.length !== 2) throw new ModelError('bad-tokenizer', `model.merges: merge ${rank} is not two tokens`);
    const product = left + right.slice(prefix.length);
    const [a, b, id] = [left, right, product].map((token) => {
      const found = vocab.get(token);
      if (found !== undefined) return found;
      throw new ModelError(
        'bad-tokenizer',
        `model.merges: ${JSON.stringify(token)} of merge ${rank} is not in the vocabulary`,
      );
    });
    table.set(a, b, rank, id);
    products.push(product);
  }
  return { table, products };
}

interface Unknown {
  readonly unk_id: number | null;
  readonly fuse_unk: boolean;
  readonly byte_fallback: boolean;
}

/** Splits a word into symbols before any merge: a token for each character, byte tokens or unk for characters without a token. */
function symbolizer(
  vocab: ReadonlyMap<string, number>,
  { prefix, suffix }: { readonly prefix: string; readonly suffix: string },
  { unk_id, fuse_unk, byte_fallback }: Unknown,
): (word: string) => Symbols {
  const byteIds = Array.from({ length: 256 }, (_, byte) =>
    vocab.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  );
  const symbols = new Symbols();
  return (word) => {
    symbols.clear();
    let unknown = false; // an unk that is not written yet, because more characters may join it
    for (let at = 0; at < word.length; ) {
      const point = word.codePointAt(at)!;
      const next = at + (point > 0xffff ? 2 : 1);
      let token = String.fromCodePoint(point);
      if (at > 0 && prefix !== '') token = prefix + token;
      if (next === word.length && suffix !== '') token += suffix;
      at = next;
      const id = vocab.get(token);
      if (id !== undefined) {
        if (unknown) symbols.push(unk_id!);
        unknown = false;
        symbols.push(id);
        continue;
      }
      const bytes = byte_fallback ? Array.from(encoder.encode(token), (byte) => byteIds[byte]) : [undefined];
      if (bytes.every((byte) => byte !== undefined)) for (const byte of bytes) symbols.push(byte);
      else if (unk_id !== null) {
        if (unknown && !fuse_unk) symbols.push(unk_id);
        unknown = true;
      }
    }
    if (unknown) symbols.push(unk_id!);
    return symbols;
  };
}

/**
 * Finds places that no merge can cross, so that the text on both sides can be encoded separately: between two characters that are adjacent
 * in no token that merges make. Where the vocabulary consists of words, each word begins at such a place, so a long text is encoded as
 * words. Next to characters without a token nothing is cut, because several of them may become one unk.
 */
function cutter(
  vocab: ReadonlyMap<string, number>,
  products: readonly string[],
): (left: number, right: number) => boolean {
  const known = new Uint8Array(0x10000);
  for (const token of vocab.keys()) if (token.length === 1) known[token.charCodeAt(0)] = 1;
  // The set may contain too many pairs, but never too few: an extra pair only keeps text together.
  const together = new Uint8Array(1 << 20);
  for (const token of products) {
    for (let i = 1; i < token.length; i++) together[slot(token.charCodeAt(i - 1), token.charCodeAt(i))] = 1;
  }
  return (left, right) => together[slot(left, right)] === 0 && known[left] === 1 && known[right] === 1;
}

const slot = (left: number, right: number): number =>
  (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 12;
