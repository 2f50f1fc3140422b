// The tokens of a GGUF file as engines use them: bytes by the file's metadata, ids by llama.cpp's own tokenizer.
import type { GgufHeader } from '../model/gguf-header.ts';
import { TOKEN_KINDS } from '../model/gguf-tokenizer.ts';
import { fromByteCharacters } from '../model/tokens/byte-characters.ts';
import { utf8 } from '../protocol/hash.ts';
import type { TokenTable } from './engine.ts';
import { ServingError } from './errors.ts';

const LIMIT_VOCAB = 1_048_576; // four times the largest in wide use

const corrupt = (fact: string) => new ServingError('corrupt-file', `GGUF: ${fact}`);

export interface GgufTokens {
  readonly texts: readonly string[];
  readonly kinds: readonly number[];
  readonly bos_id: number | null;
  readonly spelling: 'gpt2' | 'llama';
}

/**
 * The tokens that a file lists, after everything that a loader in C would index with was compared with their number.
 * Throws ServingError `corrupt-file`, `unsupported`, `too-large`.
 */
export function ggufTokens({ metadata }: Pick<GgufHeader, 'metadata'>): GgufTokens {
  const spelling = metadata.get('tokenizer.ggml.model');
  if (spelling !== 'gpt2' && spelling !== 'llama') {
    const fact = `the tokenizer ${JSON.stringify(spelling ?? null)}, expected "gpt2" or "llama"`;
    throw new ServingError('unsupported', `GGUF: ${fact}`);
  }
  const texts = metadata.get('tokenizer.ggml.tokens');
  if (!isListOf(texts, 'string') || texts.length < 2) throw corrupt('tokenizer.ggml.tokens is no list of texts');
  if (texts.length > LIMIT_VOCAB) {
    throw new ServingError('too-large', `GGUF: ${texts.length} tokens, at most ${LIMIT_VOCAB}`);
  }
  // llama.cpp ends its process at the second.
  if (new Set(texts).size !== texts.length) throw corrupt('a token occurs twice in tokenizer.ggml.tokens');
  for (const key of ['tokenizer.ggml.token_type', 'tokenizer.ggml.scores']) {
    const list = metadata.get(key);
    if (list === undefined) continue;
    if (!isListOf(list, 'number')) throw corrupt(`${key} is no list of numbers`);
    if (list.length !== texts.length) throw corrupt(`${key} has ${list.length} items for ${texts.length} tokens`);
  }
  for (const [key, id] of metadata) {
    if (!/^tokenizer\.ggml\.\w+_token_id$/.test(key)) continue;
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= texts.length) {
      throw corrupt(`${key} is ${id}, expected one of ${texts.length} tokens`);
    }
  }
  const kinds = metadata.get('tokenizer.ggml.token_type') ?? texts.map(() => TOKEN_KINDS.normal);
  const bos_id = metadata.get('tokenizer.ggml.bos_token_id');
  // A file may name a beginning and say that texts do not begin with it (Qwen2).
  const begins = metadata.get('tokenizer.ggml.add_bos_token') ?? spelling === 'llama';
  return {
    texts,
    kinds: kinds as readonly number[],
    bos_id: begins === true && typeof bos_id === 'number' ? bos_id : null,
    spelling,
  };
}

function isListOf<Type extends 'string' | 'number'>(
  value: unknown,
  type: Type,
): value is readonly (Type extends 'string' ? string : number)[] {
  return Array.isArray(value) && value.every((item) => typeof item === type);
}

const BYTE_TOKEN = /^<0x([0-9A-F]{2})>$/;
/** SentencePiece's space. */
const SPACE = '▁';

/** The bytes of a token's text; none for special tokens and rows without a token. */
export function tokenBytes({ texts, kinds, spelling }: GgufTokens, id: number): Uint8Array {
  const text = texts[id];
  switch (kinds[id]) {
    case TOKEN_KINDS.user:
      return utf8(text);
    case TOKEN_KINDS.byte: {
      const byte = BYTE_TOKEN.exec(text)?.[1];
      return byte === undefined ? utf8(text) : Uint8Array.of(Number.parseInt(byte, 16));
    }
    case TOKEN_KINDS.normal: {
      if (spelling === 'llama') return utf8(text.replaceAll(SPACE, ' '));
      const bytes = fromByteCharacters(text);
      return bytes === null ? utf8(text) : Uint8Array.from(bytes);
    }
    default:
      return new Uint8Array();
  }
}

/** @param encode the ids of a text as llama.cpp finds them · `ends`: whether it ends a text with this token */
export function ggufTokenTable(
  tokens: GgufTokens,
  encode: (text: string, special: boolean) => ArrayLike<number>,
  ends: (id: number) => boolean,
): TokenTable {
  const ids = Array.from(tokens.texts.keys());
  return {
    vocab_size: tokens.texts.length,
    unused_ids: ids.filter((id) => tokens.kinds[id] === TOKEN_KINDS.unused),
    bos_id: tokens.bos_id,
    end_ids: ids.filter(ends),
    encode: (text, special) => (text === '' ? [] : Array.from(encode(text, special))),
    bytesOf: (id) => tokenBytes(tokens, id),
  };
}
