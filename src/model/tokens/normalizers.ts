// The normalizers of a tokenizer.json: they change a text before it is split (tokenizers/src/normalizers of Hugging Face's tokenizers).
import { z } from 'zod';
import { toByteCharacters } from './byte-characters.ts';
import { type Component, ComponentSchema, parsed, unknownType } from './component.ts';
import { precompiled } from './precompiled.ts';
import { PatternSchema, patternRegExp } from './splitting.ts';

type Normalize = (text: string) => string;

export interface Normalizer {
  readonly normalize: Normalize;
  /** Whether the result still counts as the text's beginning if its first character was removed; true only for sentencepiece's table. */
  readonly countsFromFirst: boolean;
}

const ReplaceSchema = z.looseObject({ pattern: PatternSchema, content: z.string() });
const BertSchema = z.looseObject({
  clean_text: z.boolean(),
  handle_chinese_chars: z.boolean(),
  strip_accents: z.boolean().nullish(),
  lowercase: z.boolean(),
});

/** Throws ModelError `bad-tokenizer` or `unsupported`, naming the type. */
export function normalizer(component: Component | null | undefined): Normalizer {
  if (!component) return { normalize: (text) => text, countsFromFirst: false };
  return { normalize: step(component), countsFromFirst: JSON.stringify(component).includes('"type":"Precompiled"') };
}

function step(component: Component): Normalize {
  switch (component.type) {
    case 'Sequence': {
      const { normalizers } = parsed(z.looseObject({ normalizers: z.array(ComponentSchema) }), component);
      const steps = normalizers.map(step);
      return (text) => steps.reduce((value, normalize) => normalize(value), text);
    }
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const form = component.type;
      return (text) => text.normalize(form);
    }
    case 'Lowercase':
      return lowercase;
    case 'StripAccents':
      return (text) => text.replace(/\p{M}/gu, '');
    case 'Strip': {
      const { strip_left, strip_right } = parsed(
        z.looseObject({ strip_left: z.boolean(), strip_right: z.boolean() }),
        component,
      );
      return (text) => {
        const left = strip_left ? text.replace(/^\p{White_Space}+/u, '') : text;
        return strip_right ? left.slice(0, endWithoutSpace(left)) : left;
      };
    }
    case 'Prepend': {
      const { prepend } = parsed(z.looseObject({ prepend: z.string() }), component);
      return (text) => (text === '' ? text : prepend + text);
    }
    case 'Replace': {
      const { pattern, content } = parsed(ReplaceSchema, component);
      const regExp = patternRegExp(pattern);
      return (text) => (regExp ? text.replace(regExp, () => content) : text);
    }
    case 'ByteLevel':
      return toByteCharacters;
    case 'Nmt':
      return nmt;
    case 'BertNormalizer':
      return bert(parsed(BertSchema, component));
    case 'Precompiled':
      return precompiled(parsed(z.looseObject({ precompiled_charsmap: z.base64().nullish() }), component));
    default:
      throw unknownType('normalizer', component);
  }
}

/** The end of a text without trailing white space. A regular expression would visit every space in the text. */
export function endWithoutSpace(text: string): number {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1])) end--;
  return end;
}

/** Character by character, because a capital sigma at the end of a word gets no special form here. */
function lowercase(text: string): string {
  return /Σ/.test(text) ? Array.from(text, (character) => character.toLowerCase()).join('') : text.toLowerCase();
}

/** sentencepiece's table for machine translation, without its normalization form. */
function nmt(text: string): string {
  return text
    .replace(/(?![\0\t\n\f\r\x80-\x8e\x90-\x9e])\p{Cc}/gu, '')
    .replace(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g, ' ');
}

/** The blocks that BERT counts as Chinese. */
const CHINESE =
  /[\u{4e00}-\u{9fff}\u{3400}-\u{4dbf}\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{f900}-\u{faff}\u{2f800}-\u{2fa1f}]/gu;

function bert({
  clean_text,
  handle_chinese_chars,
  strip_accents,
  lowercase: lower,
}: z.infer<typeof BertSchema>): Normalize {
  return (text) => {
    let value = text;
    if (clean_text) value = value.replace(/[\0\ufffd]|(?![\t\n\r])\p{C}/gu, '').replace(/\p{White_Space}/gu, ' ');
    if (handle_chinese_chars) value = value.replace(CHINESE, ' $& ');
    if (strip_accents ?? lower) value = value.normalize('NFD').replace(/\p{Mn}/gu, '');
    return lower ? lowercase(value) : value;
  };
}
