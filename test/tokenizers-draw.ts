// Draws tokenizer.json files of every kind, and texts with what tokenizers stumble over.

import { BYTE_CHARACTERS } from '../src/model/tokens/byte-characters.ts';
import { type Random, seededRandom } from '../src/protocol/random.ts';

export interface TokenizerCase {
  readonly tokenizer: Record<string, unknown>;
  readonly texts: readonly string[];
}

const BITS = [
  ...[
    'a',
    'b',
    'c',
    'd',
    'e',
    't',
    'h',
    's',
    ' ',
    ' ',
    ' ',
    'the',
    'The',
    'an',
    'in',
    '  ',
    '\n',
    '\t',
    '\r\n',
    '1',
    '23',
    '4',
  ],
  ...[
    '.',
    ',',
    '!',
    "'s",
    "'LL",
    "'",
    '-',
    '_',
    '$',
    '+',
    '<',
    '|',
    'é',
    'e\u0301',
    'ü',
    'ß',
    'Σ',
    'ΑΣ',
    'İ',
    '日',
    '本',
    '語',
  ],
  ...[
    '😀',
    '👩‍🚀',
    '\ufeff',
    '\u0085',
    '\u00a0',
    '\u2028',
    '\u3000',
    '\u200b',
    '\u200d',
    '½',
    'Ⅷ',
    '٣',
    '١٢',
    '\u0301',
    'ñ',
    'ﬁ',
  ],
  ...[
    'Å',
    '<0x41>',
    '<s>',
    '</s>',
    '▁',
    'foo',
    'bar',
    'xyz',
    'hello',
    '\0',
    '\x07',
    '\ufffd',
    'ſ',
    'K',
    '한',
    'क्षि',
    'ª',
    '²',
  ],
  ...['\u00ad', 'A', 'B', 'Z', 'µ', '%', '(', ')', '{', '…', '—', '¿', '€'],
];
const CHARACTERS = [...new Set(BITS.join(''))];
const BYTES = BYTE_CHARACTERS.map((_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
const BEHAVIORS = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'];
const ADDED = [
  ...[
    '<s>',
    '</s>',
    'foo',
    ' bar',
    'é',
    'ab',
    'a b',
    '<|x|>',
    'the',
    '日',
    '  ',
    'É',
    'hello',
    '▁',
    '\n',
    'fo',
    'foob',
    'İ',
    '<unk>',
  ],
];
const LLAMA3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const CL100K =
  "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";
const O200K =
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s+';
const WORDS = [LLAMA3, LLAMA3.replace('{1,3}', ''), CL100K, O200K];
const PATTERNS = [
  ...[' ', '▁', 'a', '..'].map((text) => ({ String: text })),
  ...[
    ...WORDS,
    '\\s+',
    '\\d',
    '\\w+',
    '\\W',
    ' ',
    '.',
    '[^a-c]+',
    '[[:alpha:]]+',
    '[[:space:]]',
    '(?i)the|S',
    '[a-z&&[^ab]]+',
  ],
  ...[
    '\\p{Han}+',
    '^.',
    '.$',
    '\\h+',
    '(?>a|ab)c?',
    '\\p{P}|\\p{S}',
    '(?=\\d)',
    '(?<!\\d)\\d{1,2}',
    '(?:\\d{3})+(?!\\d)',
  ],
  ...[
    '[\\s\\p{P}]',
    '[^(\\s|[.,!?…。，、।۔،])]+',
    'a{,2}b',
    '\\p{Lu}\\p{Ll}*',
    '[\\p{L}&&[^a]]',
    'x*',
    '\\b',
    '[一-龥ࠀ-一가-퟿]+',
  ],
].map((pattern) => (typeof pattern === 'string' ? { Regex: pattern } : pattern));

class Draw {
  readonly #random: Random;

  constructor(seed: string) {
    this.#random = seededRandom('tokenizer shapes', seed);
  }

  below(limit: number): number {
    return this.#random.below(limit);
  }

  maybe(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  text(most: number): string {
    return Array.from({ length: this.below(most) }, () => this.pick(BITS)).join('');
  }
}

/** A tokenizer and texts that follow from the seed. */
export function drawCase(seed: string): TokenizerCase {
  const draw = new Draw(seed);
  const kind = draw.pick([
    'byte',
    'byte',
    'fallback',
    'fallback',
    'plain',
    'affix',
    'unigram',
    'unigram',
    'wordpiece',
    'wordlevel',
  ]);
  const model = modelOf(kind, draw);
  const tokenizer = {
    ...{ version: '1.0', truncation: null, padding: null, post_processor: null },
    added_tokens: addedTokens(model.vocab, draw),
    normalizer: normalizer(draw),
    pre_tokenizer: preTokenizer(kind, draw),
    decoder: decoder(kind, draw),
    model,
  };
  const texts = Array.from({ length: 12 }, () => draw.text(14));
  return { tokenizer, texts: draw.maybe(5) ? [...texts, draw.text(600)] : texts };
}

type Model = { readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[] } & Record<
  string,
  unknown
>;

const idsOf = (tokens: readonly string[]) => Object.fromEntries([...new Set(tokens)].map((token, id) => [token, id]));

function modelOf(kind: string, draw: Draw): Model {
  const some = CHARACTERS.filter(() => draw.maybe(80));
  const words = [...some, ...Array.from({ length: 50 }, () => draw.text(4)).filter((word) => word !== '')];
  if (kind === 'unigram') {
    const byte_fallback = draw.maybe(40);
    const marked = words.slice(-50).map((word) => `▁${word}`);
    const pieces = new Set(['<unk>', '<s>', ...(byte_fallback ? BYTES : []), '▁', ...words, ...marked]);
    const vocab = [...pieces].map((piece) => [piece.replaceAll(' ', '▁'), -draw.below(1200) / 100] as const);
    return { type: 'Unigram', unk_id: 0, vocab: [...new Map(vocab)], byte_fallback };
  }
  if (kind === 'wordpiece') {
    const vocab = idsOf(['[UNK]', ...words.flatMap((word) => [word, `##${word}`])]);
    const max_input_chars_per_word = draw.pick([100, 5]);
    return { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word, vocab };
  }
  if (kind === 'wordlevel') return { type: 'WordLevel', unk_token: '[UNK]', vocab: idsOf(['[UNK]', ...words]) };
  return bpe(kind, some, draw);
}

function bpe(kind: string, some: readonly string[], draw: Draw): Model {
  const prefix = kind === 'affix' && draw.maybe(50) ? '##' : '';
  const suffix = kind === 'affix' && draw.maybe(60) ? '</w>' : '';
  const forms = (character: string) => [character, prefix + character, character + suffix, prefix + character + suffix];
  const characters = kind === 'byte' ? BYTE_CHARACTERS : [...some.flatMap(forms), '▁'];
  const tokens = new Set([...(draw.maybe(50) ? ['<unk>'] : []), ...(kind === 'fallback' ? BYTES : []), ...characters]);
  const merges: string[][] = [];
  for (let i = 0; i < 60; i++) {
    const known = [...tokens].filter((token) => !/^<.*>$/.test(token));
    const often = kind === 'byte' ? [...'abcdethsĠ.,1ĊÃ©'] : known.slice(-60);
    const [left, right] = [
      draw.maybe(50) ? draw.pick(often) : draw.pick(known),
      draw.pick(draw.maybe(50) ? often : known),
    ];
    if (!right.startsWith(prefix) || (suffix !== '' && left.endsWith(suffix))) continue;
    tokens.add(left + right.slice(prefix.length));
    merges.push([left, right]);
  }
  return {
    ...{ type: 'BPE', dropout: null, continuing_subword_prefix: prefix || null, end_of_word_suffix: suffix || null },
    unk_token: tokens.has('<unk>') && draw.maybe(80) ? '<unk>' : null,
    ...{ fuse_unk: draw.maybe(50), byte_fallback: kind === 'fallback', ignore_merges: draw.maybe(20) },
    ...{ vocab: idsOf([...tokens]), merges },
  };
}

function addedTokens(vocab: Model['vocab'], draw: Draw): object[] {
  const ids = new Map(
    Array.isArray(vocab)
      ? vocab.map(([piece], id) => [piece as string, id])
      : Object.entries(vocab as Record<string, number>),
  );
  const contents = new Set(Array.from({ length: draw.below(5) }, () => draw.pick(ADDED)));
  let next = ids.size;
  return [...contents].map((content) => ({
    ...{ id: ids.get(content) ?? next++, content, single_word: draw.maybe(25), lstrip: draw.maybe(25) },
    ...{ rstrip: draw.maybe(25), normalized: draw.maybe(50), special: draw.maybe(50) },
  }));
}

function normalizer(draw: Draw): object | null {
  if (draw.maybe(40)) return null;
  const llama2 = [
    { type: 'Prepend', prepend: '▁' },
    { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
  ];
  if (draw.maybe(30)) return { type: 'Sequence', normalizers: llama2 };
  const one = () => ({
    type: draw.pick([
      'NFC',
      'NFD',
      'NFKC',
      'NFKD',
      'Lowercase',
      'StripAccents',
      'Strip',
      'Prepend',
      'Replace',
      'BertNormalizer',
      'Nmt',
    ]),
    ...{ strip_left: draw.maybe(50), strip_right: draw.maybe(50), prepend: '▁' },
    pattern: draw.pick([{ String: ' ' }, { String: 'a' }, { Regex: ' {2,}' }, { Regex: '\\s+' }, { Regex: '(?:a|b)' }]),
    content: draw.pick(['▁', '', ' ', '$0']),
    ...{ clean_text: draw.maybe(50), handle_chinese_chars: draw.maybe(50), lowercase: draw.maybe(50) },
    strip_accents: draw.pick([null, true, false]),
  });
  return draw.maybe(40) ? { type: 'Sequence', normalizers: [one(), one()] } : one();
}

function preTokenizer(kind: string, draw: Draw): object | null {
  const bytes = (use_regex: boolean) => ({
    type: 'ByteLevel',
    add_prefix_space: draw.maybe(40),
    trim_offsets: true,
    use_regex,
  });
  const split = (pattern: object) => ({
    type: 'Split',
    pattern,
    behavior: draw.pick(BEHAVIORS),
    invert: draw.maybe(30),
  });
  const one = () =>
    draw.pick([
      () => split(draw.pick(PATTERNS)),
      () => bytes(draw.maybe(50)),
      () => ({
        type: 'Metaspace',
        replacement: '▁',
        prepend_scheme: draw.pick(['always', 'first', 'never']),
        split: draw.maybe(50),
      }),
      () => ({ type: draw.pick(['Whitespace', 'WhitespaceSplit', 'BertPreTokenizer']) }),
      () => ({ type: 'Punctuation', behavior: draw.pick(BEHAVIORS) }),
      () => ({ type: 'Digits', individual_digits: draw.maybe(50) }),
      () => ({ type: 'CharDelimiterSplit', delimiter: draw.pick(['a', ' ', '日']) }),
    ])();
  if (kind === 'byte') {
    if (draw.maybe(40)) return bytes(draw.maybe(50));
    const first = draw.maybe(50)
      ? { ...split({ Regex: draw.pick(WORDS) }), behavior: 'Isolated', invert: false }
      : one();
    return { type: 'Sequence', pretokenizers: [first, bytes(draw.maybe(30))] };
  }
  if (draw.maybe(25)) return null;
  return draw.maybe(30) ? { type: 'Sequence', pretokenizers: [one(), one()] } : one();
}

function decoder(kind: string, draw: Draw): object | null {
  const fallback = [
    { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
  ];
  const metaspace = {
    type: 'Metaspace',
    replacement: '▁',
    prepend_scheme: draw.pick(['always', 'first', 'never']),
    split: true,
  };
  return draw.pick([
    kind === 'byte' ? { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true } : null,
    null,
    { type: 'Sequence', decoders: [...fallback, { type: 'Strip', content: ' ', start: 1, stop: 0 }] },
    metaspace,
    { type: 'WordPiece', prefix: '##', cleanup: draw.maybe(50) },
    { type: 'BPEDecoder', suffix: '</w>' },
    { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, metaspace] },
  ]);
}
