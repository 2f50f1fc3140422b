// The pre-tokenizers of a tokenizer.json: they split a text into pieces that are encoded separately (tokenizers/src/pre_tokenizers).
import { z } from 'zod';
import { ModelError } from '../errors.ts';
import { toByteCharacters } from './byte-characters.ts';
import { type Component, ComponentSchema, parsed, unknownType } from './component.ts';
import { onigurumaRegExp } from './oniguruma.ts';
import { type Behavior, BehaviorSchema, PatternSchema, patternRegExp, piecesOf, spansOf } from './splitting.ts';

/** Splits a piece; `isFirst`: the piece begins the whole text. */
type Cut = (piece: string, isFirst: boolean) => readonly string[];

export interface PreTokenizer {
  readonly cut: Cut;
  /** Whether each piece must still be mapped to a character for each byte. This comes last, so that it is done once per word. */
  readonly toBytes: boolean;
}

const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
/** ASCII punctuation, and what Unicode calls so. */
const PUNCTUATION = String.raw`\p{P}$+<=>\^\x60\|~`;

const ByteLevelSchema = z.looseObject({ add_prefix_space: z.boolean(), use_regex: z.boolean().default(true) });
/** `add_prefix_space` is the older setting; where it contradicts `prepend_scheme`, the intention is unknown. */
export const MetaspaceSchema = z
  .looseObject({
    replacement: z.string().refine((text) => [...text].length === 1, { error: 'expected one character' }),
    add_prefix_space: z.boolean().nullish(),
    prepend_scheme: z.enum(['always', 'first', 'never']).default('always'),
    split: z.boolean().nullish(),
  })
  .refine((meta) => meta.add_prefix_space !== false || meta.prepend_scheme === 'never', {
    error: 'add_prefix_space and prepend_scheme contradict each other',
  });
const SplitSchema = z.looseObject({ pattern: PatternSchema, behavior: BehaviorSchema, invert: z.boolean() });

/** Throws ModelError `bad-tokenizer` or `unsupported`, naming the type. */
export function preTokenizer(component: Component | null | undefined): PreTokenizer {
  if (!component) return { cut: (piece) => [piece], toBytes: false };
  if (component.type === 'Sequence') {
    const { pretokenizers } = parsed(z.looseObject({ pretokenizers: z.array(ComponentSchema) }), component);
    const first = pretokenizers.findIndex((step) => step.type === 'Metaspace' && step.prepend_scheme === 'first');
    if (first > 0) {
      const fact = 'Metaspace with prepend_scheme "first" after another pre-tokenizer is not computed';
      throw new ModelError('unsupported', fact);
    }
    return inSequence(pretokenizers.map(preTokenizer));
  }
  if (component.type === 'ByteLevel') {
    const { add_prefix_space, use_regex } = parsed(ByteLevelSchema, component);
    const words = onigurumaRegExp(GPT2);
    const cut: Cut = (piece) => {
      const text = add_prefix_space && !piece.startsWith(' ') ? ` ${piece}` : piece;
      return use_regex ? piecesOf(text, spansOf(text, words), 'Isolated') : [text];
    };
    return { cut, toBytes: true };
  }
  return { cut: cutOf(component), toBytes: false };
}

function inSequence(steps: readonly PreTokenizer[]): PreTokenizer {
  const cut: Cut = (piece, isFirst) =>
    steps.reduce<readonly string[]>(
      (pieces, step, at) => {
        const cut = pieces.flatMap((one, i) => step.cut(one, isFirst && i === 0));
        return step.toBytes && at < steps.length - 1 ? cut.map(toByteCharacters) : cut;
      },
      [piece],
    );
  return { cut, toBytes: steps.at(-1)?.toBytes ?? false };
}

/** Splits at the characters of a class, each of them a match of its own. */
function atCharacters(source: string, behavior: Behavior): Cut {
  const pattern = new RegExp(`[${source}]`, 'gu');
  return (piece) => piecesOf(piece, spansOf(piece, pattern), behavior);
}

function cutOf(component: Component): Cut {
  switch (component.type) {
    case 'Whitespace': {
      const words =
        /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu;
      return (piece) => piece.match(words) ?? [];
    }
    case 'WhitespaceSplit':
      return atCharacters(String.raw`\p{White_Space}`, 'Removed');
    case 'BertPreTokenizer': {
      const words = atCharacters(String.raw`\p{White_Space}`, 'Removed');
      const marks = atCharacters(PUNCTUATION, 'Isolated');
      return (piece) => words(piece, false).flatMap((word) => marks(word, false));
    }
    case 'Punctuation': {
      const { behavior } = parsed(z.looseObject({ behavior: BehaviorSchema.default('Isolated') }), component);
      return atCharacters(PUNCTUATION, behavior);
    }
    case 'Digits': {
      const { individual_digits } = parsed(z.looseObject({ individual_digits: z.boolean() }), component);
      return atCharacters(String.raw`\p{N}`, individual_digits ? 'Isolated' : 'Contiguous');
    }
    case 'CharDelimiterSplit': {
      const { delimiter } = parsed(z.looseObject({ delimiter: z.string().min(1) }), component);
      const pattern = patternRegExp({ String: delimiter });
      return (piece) => piecesOf(piece, spansOf(piece, pattern), 'Removed');
    }
    case 'Split':
      return split(parsed(SplitSchema, component));
    case 'Metaspace':
      return metaspace(parsed(MetaspaceSchema, component));
    default:
      throw unknownType('pre-tokenizer', component);
  }
}

function split({ pattern, behavior, invert }: z.infer<typeof SplitSchema>): Cut {
  const regExp = patternRegExp(pattern);
  return (piece) => {
    const spans = spansOf(piece, regExp);
    return piecesOf(piece, invert ? spans.map((span) => ({ ...span, matches: !span.matches })) : spans, behavior);
  };
}

function metaspace({ replacement, prepend_scheme, split }: z.infer<typeof MetaspaceSchema>): Cut {
  const words = patternRegExp({ String: replacement });
  return (piece, isFirst) => {
    const text = piece.replaceAll(' ', replacement);
    const prepends = prepend_scheme === 'always' || (prepend_scheme === 'first' && isFirst);
    const marked = prepends && !text.startsWith(replacement) ? replacement + text : text;
    return split === false ? [marked] : piecesOf(marked, spansOf(marked, words), 'MergedWithNext');
  };
}
