// Vocabularies of words: WordPiece (BERT's, arXiv 1609.08144) and WordLevel, with the ids of Hugging Face's tokenizers.
import { z } from 'zod';
import { firstIssue } from '../../errors.ts';
import { ModelError } from '../errors.ts';
import { type TokenModel, vocabOf } from './token-model.ts';
import { Trie } from './trie.ts';

const WordPieceSchema = z.looseObject({
  unk_token: z.string(),
  continuing_subword_prefix: z.string().default('##'),
  max_input_chars_per_word: z.int().min(0).default(100),
});

/** Takes the longest piece from the left, again and again; a word with a part that has no piece becomes the unknown token. */
export function wordPiece(description: unknown): TokenModel {
  const result = WordPieceSchema.safeParse(description);
  if (!result.success) throw new ModelError('bad-tokenizer', `model: ${firstIssue(result.error)}`);
  const { unk_token, continuing_subword_prefix: prefix, max_input_chars_per_word: longest } = result.data;
  const vocab = vocabOf((description as { vocab?: unknown }).vocab);
  const unk_id = workingUnknown(unk_token, vocab);
  const [first, next] = [new Trie(), new Trie()];
  for (const [token, id] of vocab) {
    if (token !== '') first.set(token, id);
    if (token.length > prefix.length && token.startsWith(prefix)) next.set(token.slice(prefix.length), id);
  }
  return {
    vocab,
    encode(word, ids) {
      if (word.length > longest && [...word].length > longest) return ids.push(unk_id);
      const found: number[] = [];
      for (let start = 0; start < word.length; ) {
        const piece = (start === 0 ? first : next).longest(word, start);
        if (!piece) return ids.push(unk_id);
        found.push(piece.value);
        start = piece.end;
      }
      ids.pushAll(found);
    },
  };
}

export function wordLevel(description: unknown): TokenModel {
  const result = z.looseObject({ unk_token: z.string() }).safeParse(description);
  if (!result.success) throw new ModelError('bad-tokenizer', `model: ${firstIssue(result.error)}`);
  const vocab = vocabOf((description as { vocab?: unknown }).vocab);
  const unk_id = workingUnknown(result.data.unk_token, vocab);
  return { vocab, encode: (word, ids) => ids.push(vocab.get(word) ?? unk_id) };
}

/** Required, because otherwise every text with an unknown word would fail in the middle. */
function workingUnknown(unk_token: string, vocab: ReadonlyMap<string, number>): number {
  const id = vocab.get(unk_token);
  if (id !== undefined) return id;
  const fact = `model.unk_token ${JSON.stringify(unk_token)} is not in the vocabulary: words outside the vocabulary have no id`;
  throw new ModelError('bad-tokenizer', fact);
}
