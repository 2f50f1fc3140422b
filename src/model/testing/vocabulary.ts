// A tokenizer.json of each kind whose tokens are the words of a text and their prefixes.
import { BYTE_CHARACTERS, toByteCharacters } from '../tokens/byte-characters.ts';

export const KINDS = ['byte-level BPE', 'Llama 2 BPE', 'Unigram', 'WordPiece'] as const;
export type Kind = (typeof KINDS)[number];

const MERGES = 20_000;
const CHARACTERS = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?()\'"-— \n'];
const LLAMA3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

export function tokenizerJson(kind: Kind, words: readonly string[]): string {
  const parts = { added_tokens: [], normalizer: null, pre_tokenizer: null, decoder: null };
  const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true };
  switch (kind) {
    case 'byte-level BPE': {
      const split = { type: 'Split', pattern: { Regex: LLAMA3 }, behavior: 'Isolated', invert: false };
      const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
      const model = bpe(
        BYTE_CHARACTERS,
        words.map((word) => toByteCharacters(` ${word}`)),
      );
      return JSON.stringify({ ...parts, pre_tokenizer: { type: 'Sequence', pretokenizers: [split, bytes] }, model });
    }
    case 'Llama 2 BPE': {
      const bytes = BYTE_CHARACTERS.map((_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
      const normalizers = [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ];
      const model = bpe(
        ['<unk>', ...bytes, '▁', ...CHARACTERS],
        words.map((word) => `▁${word}`),
      );
      const fallback = { ...model, unk_token: '<unk>', fuse_unk: true, byte_fallback: true };
      return JSON.stringify({ ...parts, normalizer: { type: 'Sequence', normalizers }, model: fallback });
    }
    case 'Unigram': {
      const pieces = beginnings(words.map((word) => `▁${word}`));
      const vocab = ['<unk>', '▁', ...CHARACTERS, ...pieces].map((piece, i) => [
        piece,
        i === 0 ? 0 : -Math.log(i + 10),
      ]);
      return JSON.stringify({ ...parts, pre_tokenizer: metaspace, model: { type: 'Unigram', unk_id: 0, vocab } });
    }
    case 'WordPiece': {
      const continued = CHARACTERS.map((character) => `##${character}`);
      const vocab = idsOf(['[UNK]', ...CHARACTERS, ...continued, ...beginnings(words)]);
      const model = {
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab,
      };
      return JSON.stringify({ ...parts, pre_tokenizer: { type: 'BertPreTokenizer' }, model });
    }
  }
}

const idsOf = (tokens: readonly string[]): Record<string, number> =>
  Object.fromEntries([...new Set(tokens)].map((token, id) => [token, id]));

/** Words and their prefixes of two characters or more, until there are as many as merges. */
function beginnings(words: readonly string[]): string[] {
  const found = new Set<string>();
  for (const word of words) {
    for (let end = 2; end <= word.length && found.size < MERGES; end++) found.add(word.slice(0, end));
  }
  return [...found];
}

function bpe(characters: readonly string[], words: readonly string[]): object {
  const products = beginnings(words);
  const merges = products.map((token) => [token.slice(0, -1), token.slice(-1)]);
  return { type: 'BPE', vocab: idsOf([...characters, ...products]), merges };
}
