// Converts text to token ids and back: as plain bytes by default, or as a Hugging Face tokenizer.json says.
import { z } from 'zod';
import { firstIssue } from '../errors.ts';
import { ModelError } from './errors.ts';
import { BYTE_CHARACTERS } from './tokens/byte-characters.ts';
import { openTokenizerJson, type TokenizerPipeline } from './tokens/tokenizer-json.ts';

/** The largest tokenizer.json in wide use (Gemma's) has 33 MB. */
const LIMIT_JSON_CHARACTERS = 64 * 2 ** 20;
const LIMIT_VOCAB = 262_144;

/** A tokenizer as training and generation need it. */
export interface Tokenizer {
  /** One more than the largest id. */
  readonly vocab_size: number;
  /** Unused ids below vocab_size; none where the field is missing. */
  readonly unused_ids?: readonly number[];
  /** The beginning-of-text token; null when the tokenizer has none. */
  readonly bos_id: number | null;
  /** The end-of-text token; null when the tokenizer has none. */
  readonly eos_id: number | null;
  /**
   * The ids of a text, without beginning or end token. Special tokens that are spelled out in the text are recognised, unless
   * `special` is false: whoever serves strangers' texts lets only itself steer the model.
   */
  encode(text: string, special?: boolean): number[] | Uint32Array;
  /** The text of ids. Invalid UTF-8 becomes U+FFFD; special tokens are spelled out. Throws ModelError `bad-input`. */
  decode(ids: ArrayLike<number>): string;
  /** The bytes of UTF-8 that a token stands for within a text; none for special tokens and unused ids. Throws ModelError `bad-input`. */
  bytesOf(id: number): Uint8Array;
  /** A token as the vocabulary spells it; where this is missing, as it decodes. */
  tokenOf?(id: number): string | undefined;
  /** The contents of a Hugging Face tokenizer.json that does the same. */
  readonly json: string;
}

export const END_OF_TEXT = '<|endoftext|>';
const END_OF_TEXT_ID = 256;

function byteTokenizerJson(): string {
  const vocab = Object.fromEntries(BYTE_CHARACTERS.map((character, byte) => [character, byte]));
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const end = { id: END_OF_TEXT_ID, content: END_OF_TEXT, single_word: false, lstrip: false, rstrip: false };
  const added = [{ ...end, normalized: false, special: true }];
  return vocabularyJson(vocab, { added_tokens: added, pre_tokenizer: bytes, decoder: bytes });
}

/**
 * The contents of a tokenizer.json whose tokens are single pieces of text, without merges; `parts` is everything around its model.
 * The order of the keys is fixed, because the hash of these bytes identifies a dataset.
 */
export function vocabularyJson(
  vocab: Readonly<Record<string, number>>,
  parts: { readonly added_tokens: readonly object[]; readonly pre_tokenizer: object | null; readonly decoder: object },
): string {
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: parts.added_tokens,
    normalizer: null,
    pre_tokenizer: parts.pre_tokenizer,
    post_processor: null,
    decoder: parts.decoder,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges: [],
    },
  });
}

function checkId(id: number, vocab_size: number): void {
  if (!Number.isInteger(id) || id < 0 || id >= vocab_size) {
    throw new ModelError('bad-input', `tokenizer: the id ${id} is not in 0..${vocab_size - 1}`, { id, vocab_size });
  }
}

/**
 * The default tokenizer, 257 ids: ids 0..255 are the bytes of the text's UTF-8, id 256 is `<|endoftext|>`, which both ends a document and
 * begins a sequence (as in GPT-2).
 */
export function byteTokenizer(): Tokenizer {
  const encoder = new TextEncoder();
  const vocab_size = END_OF_TEXT_ID + 1;
  const end_bytes = encoder.encode(END_OF_TEXT);
  return {
    vocab_size,
    bos_id: END_OF_TEXT_ID,
    eos_id: END_OF_TEXT_ID,
    json: byteTokenizerJson(),
    bytesOf(id) {
      checkId(id, vocab_size);
      return Uint8Array.from(id === END_OF_TEXT_ID ? [] : [id]);
    },
    encode(text, special = true) {
      const pieces = (special ? text.split(END_OF_TEXT) : [text]).map((piece) => encoder.encode(piece));
      const ids = new Uint32Array(pieces.reduce((sum, piece) => sum + piece.length + 1, -1));
      let at = 0;
      for (const [index, piece] of pieces.entries()) {
        if (index > 0) ids[at++] = END_OF_TEXT_ID;
        ids.set(piece, at);
        at += piece.length;
      }
      return ids;
    },
    decode(ids) {
      const bytes: number[] = [];
      for (let i = 0; i < ids.length; i++) {
        checkId(ids[i], vocab_size);
        if (ids[i] === END_OF_TEXT_ID) bytes.push(...end_bytes);
        else bytes.push(ids[i]);
      }
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes));
    },
  };
}

const SpecialTokenSchema = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const TokenizerConfigSchema = z.looseObject({ bos_token: SpecialTokenSchema, eos_token: SpecialTokenSchema });
export type TokenizerConfig = z.input<typeof TokenizerConfigSchema>;

/** Usual names of the beginning-of-text and end-of-text tokens, for a tokenizer.json that comes without its configuration. */
const USUAL_EOS = [END_OF_TEXT, '</s>', '<|end_of_text|>', '<|im_end|>', '<eos>'];
const USUAL_BOS = ['<s>', '<|begin_of_text|>', '<bos>', END_OF_TEXT];

function parse<T>(schema: z.ZodType<T>, value: unknown, file: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ModelError('bad-tokenizer', `${file}: ${firstIssue(result.error)}`, { file });
}

/**
 * A tokenizer from the contents of a Hugging Face tokenizer.json.
 * `config` is the parsed tokenizer_config.json; without it the usual names of the beginning and the end are looked up.
 * `file` is the name for errors.
 * Throws ModelError `bad-tokenizer` (not JSON, not a tokenizer, a special token that does not exist) or `too-large`.
 */
export function tokenizerFromJson(json: string, config?: TokenizerConfig, file = 'tokenizer.json'): Tokenizer {
  if (json.length > LIMIT_JSON_CHARACTERS) {
    throw new ModelError('too-large', `${file}: ${json.length} characters, at most ${LIMIT_JSON_CHARACTERS}`);
  }
  if (json === byteTokenizerJson()) return byteTokenizer();
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new ModelError('bad-tokenizer', `${file}: not JSON`);
  }
  const special = parse(TokenizerConfigSchema, config ?? {}, 'tokenizer_config.json');
  const pipeline = open(value, file);
  const vocab_size = [...pipeline.tokens.keys()].reduce((largest, id) => Math.max(largest, id), -1) + 1;
  if (vocab_size < 2 || vocab_size > LIMIT_VOCAB) {
    throw new ModelError('bad-tokenizer', `${file}: ${vocab_size} tokens, expected 2..${LIMIT_VOCAB}`);
  }
  const idOf = (which: 'bos_token' | 'eos_token', usual: readonly string[]): number | null => {
    const named = special[which];
    if (named !== undefined && named !== null) {
      const content = typeof named === 'string' ? named : named.content;
      const id = pipeline.idOf(content);
      if (id !== undefined) return id;
      throw new ModelError('bad-tokenizer', `tokenizer_config.json: ${which} "${content}" is not in the vocabulary`);
    }
    if (config) return null;
    const found = usual.find((content) => pipeline.idOf(content) !== undefined);
    return found === undefined ? null : (pipeline.idOf(found) ?? null);
  };
  return {
    vocab_size,
    unused_ids: Array.from({ length: vocab_size }, (_, id) => id).filter((id) => !pipeline.tokens.has(id)),
    bos_id: idOf('bos_token', USUAL_BOS),
    eos_id: idOf('eos_token', USUAL_EOS),
    json,
    tokenOf: (id) => pipeline.tokens.get(id),
    bytesOf(id) {
      checkId(id, vocab_size);
      return pipeline.bytesOf(id);
    },
    encode: (text, special = true) => pipeline.encode(text, special),
    decode(ids) {
      const list = Array.from(ids);
      for (const id of list) checkId(id, vocab_size);
      return list.length === 0 ? '' : pipeline.decode(list);
    },
  };
}

/** The same error, with the file's name before its message. */
function open(value: unknown, file: string): TokenizerPipeline {
  try {
    return openTokenizerJson(value);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(error.code, `${file}: ${error.message}`, error.details);
  }
}

/** How many decoded ids are kept before the new ones: decoders treat the first token of a text specially (SentencePiece drops its space). */
const CONTEXT_IDS = 4;

/** Converts a growing list of ids into text as early as possible, never with half a character at the end. */
export interface StreamDecoder {
  /** The text that these ids complete; may be empty. */
  push(...ids: number[]): string;
  /** The rest, with U+FFFD for bytes that never became a character. */
  end(): string;
}

/**
 * Streaming decoding: the pieces together are exactly `tokenizer.decode` of all ids.
 * A character of several tokens decodes to U+FFFD until it is complete, so trailing U+FFFD are held back.
 */
export function streamDecoder(tokenizer: Tokenizer): StreamDecoder {
  let window: number[] = [];
  let emitted = ''; // the text of the window that has been returned
  const advance = (text: string, certain: string): string => {
    const piece = certain.slice(emitted.length);
    emitted = emitted + piece;
    if (text === certain && window.length > 2 * CONTEXT_IDS) {
      // The window is shortened only where decoding its tail alone gives the same characters.
      const tail = window.slice(-CONTEXT_IDS);
      const tail_text = tokenizer.decode(tail);
      if (tail_text.length > 0 && text.endsWith(tail_text) && !tail_text.includes('\ufffd')) {
        window = tail;
        emitted = tail_text;
      }
    }
    return piece;
  };
  return {
    push(...ids) {
      window.push(...ids);
      const text = tokenizer.decode(window);
      return advance(text, text.replace(/\ufffd+$/, ''));
    },
    end() {
      const text = tokenizer.decode(window);
      const piece = text.slice(emitted.length);
      window = [];
      emitted = '';
      return piece;
    },
  };
}
