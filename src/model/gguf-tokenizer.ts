// A tokenizer in a GGUF file, as llama.cpp computes it: byte-level BPE ("gpt2"), which the byte tokenizer is too, without merges.
// Only tokenizers to which llama.cpp gives the very same ids are written; for any other one the model would read something else.
import { z } from 'zod';
import { ModelError } from './errors.ts';
import type { GgufEntry } from './gguf-entries.ts';
import type { Tokenizer } from './tokenizer.ts';
import { BYTE_CHARACTERS } from './tokens/byte-characters.ts';

/** llama.cpp's kinds of tokens. */
export const TOKEN_KINDS = { normal: 1, unknown: 2, control: 3, user: 4, unused: 5, byte: 6 } as const;

const WORDS = String.raw`[^\r\n\p{L}\p{N}]?\p{L}+|`;
const MARKS = String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|";
/** The regular expressions that llama.cpp knows by a name, as tokenizer.json spells them. */
const SPLITS = new Map([
  [String.raw`${ENDINGS}${WORDS}\p{N}{1,3}${MARKS}`, 'llama-bpe'],
  [String.raw`${ENDINGS}${WORDS}\p{N}${MARKS}`, 'qwen2'],
]);
/** Those with which llama.cpp takes a whole word that is a token before it merges. */
const WHOLE_WORDS = new Set(['llama-bpe']);

const none = z.null().optional();
const no = z.literal(false).nullish();
const ByteLevelSchema = z.looseObject({
  type: z.literal('ByteLevel'),
  add_prefix_space: no,
  use_regex: z.boolean().default(true),
});
const SplitSchema = z.looseObject({
  type: z.literal('Split'),
  pattern: z.looseObject({ Regex: z.string() }),
  behavior: z.literal('Isolated'),
  invert: no,
});
const PreTokenizerSchema = z.union([
  ByteLevelSchema.extend({ use_regex: z.literal(true).default(true) }).transform(() => 'gpt-2'),
  z
    .looseObject({
      type: z.literal('Sequence'),
      pretokenizers: z.tuple([SplitSchema, ByteLevelSchema.extend({ use_regex: z.literal(false) })]),
    })
    .transform(({ pretokenizers: [split] }, context) => {
      const name = SPLITS.get(split.pattern.Regex);
      if (name !== undefined) return name;
      context.addIssue({ code: 'custom', message: 'llama.cpp has no name for this regular expression' });
      return z.NEVER;
    }),
]);

const TokenizerSchema = z.looseObject({
  normalizer: z.union([z.null(), z.looseObject({ type: z.literal('NFC') })]).optional(),
  pre_tokenizer: PreTokenizerSchema,
  added_tokens: z
    .array(
      z.looseObject({
        id: z.int(),
        content: z.string(),
        special: z.boolean().default(false),
        single_word: no,
        lstrip: no,
        rstrip: no,
      }),
    )
    .nullish(),
  model: z.looseObject({
    type: z.literal('BPE').optional(),
    unk_token: none,
    continuing_subword_prefix: z.literal('').nullish(),
    end_of_word_suffix: z.literal('').nullish(),
    byte_fallback: no,
    ignore_merges: z.boolean().nullish(),
    vocab: z.record(z.string(), z.int()),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  }),
});

const unsupported = (fact: string) =>
  new ModelError('unsupported', `the tokenizer cannot be written as GGUF, llama.cpp would give other ids: ${fact}`);

/** The entries of a tokenizer for a model with `vocab_size` rows. Throws ModelError `unsupported`, naming what llama.cpp does in another way. */
export function tokenizerEntries(tokenizer: Tokenizer, vocab_size: number, chat_template: string | null): GgufEntry[] {
  const parsed = TokenizerSchema.safeParse(JSON.parse(tokenizer.json));
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues;
    throw unsupported(`${path.join('.') || 'tokenizer.json'}: ${message}`);
  }
  const { model, pre_tokenizer, normalizer, added_tokens } = parsed.data;
  // llama.cpp does not normalize; for Qwen2's texts, which are nearly all in that form, everybody accepts it.
  if (normalizer && pre_tokenizer !== 'qwen2') throw unsupported('normalizer: NFC');
  if ((model.ignore_merges ?? false) !== WHOLE_WORDS.has(pre_tokenizer) && model.merges.length > 0) {
    throw unsupported(`model.ignore_merges is ${model.ignore_merges ?? false}`);
  }
  const missing = BYTE_CHARACTERS.findIndex((character) => model.vocab[character] === undefined);
  if (missing >= 0) throw unsupported(`the byte ${missing} has no token`);
  if (tokenizer.vocab_size > vocab_size)
    throw unsupported(`it has ${tokenizer.vocab_size} ids, the model ${vocab_size}`);

  const tokens: string[] = Array.from({ length: vocab_size }, (_, id) => `[PAD${id}]`);
  const kinds: number[] = tokens.map(() => TOKEN_KINDS.unused);
  for (const [token, id] of Object.entries(model.vocab)) {
    tokens[id] = token;
    kinds[id] = TOKEN_KINDS.normal;
  }
  for (const { id, content, special } of added_tokens ?? []) {
    tokens[id] = content;
    kinds[id] = special ? TOKEN_KINDS.control : TOKEN_KINDS.user;
  }
  const { bos_id, eos_id } = tokenizer;
  return [
    ['tokenizer.ggml.model', 'string', 'gpt2'],
    ['tokenizer.ggml.pre', 'string', pre_tokenizer],
    ['tokenizer.ggml.tokens', 'strings', tokens],
    ['tokenizer.ggml.token_type', 'i32s', kinds],
    [
      'tokenizer.ggml.merges',
      'strings',
      model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' '))),
    ],
    ...(bos_id === null ? [] : [['tokenizer.ggml.bos_token_id', 'u32', bos_id] as const]),
    ...(eos_id === null ? [] : [['tokenizer.ggml.eos_token_id', 'u32', eos_id] as const]),
    ['tokenizer.ggml.add_bos_token', 'bool', bos_id !== null],
    ['tokenizer.ggml.add_eos_token', 'bool', false],
    ...(chat_template === null ? [] : [['tokenizer.chat_template', 'string', chat_template] as const]),
  ];
}
