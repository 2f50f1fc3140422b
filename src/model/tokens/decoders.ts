// The decoders of a tokenizer.json: they turn tokens back into text (tokenizers/src/decoders of Hugging Face's tokenizers).
import { z } from 'zod';
import { fromByteCharacters } from './byte-characters.ts';
import { type Component, ComponentSchema, parsed, unknownType } from './component.ts';
import { MetaspaceSchema } from './pre-tokenizers.ts';
import { PatternSchema, patternRegExp } from './splitting.ts';

type Step = (tokens: readonly string[]) => readonly string[];

const encoder = new TextEncoder();
/** U+FEFF is kept as a character of the text, also at its beginning. */
const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** Throws ModelError `bad-tokenizer` or `unsupported`, naming the type. */
export function decoder(component: Component | null | undefined): (tokens: readonly string[]) => string {
  if (!component) return (tokens) => tokens.join(' ');
  const step = stepOf(component);
  return (tokens) => step(tokens).join('');
}

/**
 * The bytes of UTF-8 that one token stands for in the middle of a text. What a decoder does to the whole text, such as dropping the
 * space at its very beginning, is left out.
 */
export function tokenBytes(component: Component | null | undefined): (token: string) => Uint8Array {
  if (!component) return (token) => encoder.encode(` ${token}`);
  const steps = component.type === 'Sequence' ? parsed(SequenceSchema, component).decoders : [component];
  return (token) => {
    let text = token;
    for (const step of steps) {
      if (step.type === 'Fuse') break; // what follows sees the whole text
      const bytes =
        step.type === 'ByteLevel' ? fromByteCharacters(text) : step.type === 'ByteFallback' ? byteOf(text) : null;
      if (bytes !== null) return Uint8Array.from(bytes);
      if (step.type === 'ByteLevel' || step.type === 'ByteFallback') continue;
      // All other steps change each token by itself, the first and the last in their own way: this one has neighbours.
      text = stepOf(step)(['', text, ''])[1];
    }
    return encoder.encode(text);
  };
}

const SequenceSchema = z.looseObject({ decoders: z.array(ComponentSchema) });

function stepOf(component: Component): Step {
  switch (component.type) {
    case 'Sequence': {
      const { decoders } = parsed(SequenceSchema, component);
      const steps = decoders.map(stepOf);
      return (tokens) => steps.reduce((value, step) => step(value), tokens);
    }
    case 'ByteLevel':
      return (tokens) => {
        const bytes = tokens.flatMap((token) => fromByteCharacters(token) ?? [...encoder.encode(token)]);
        return [lossy.decode(Uint8Array.from(bytes))];
      };
    case 'ByteFallback':
      return byteFallback;
    case 'Fuse':
      return (tokens) => [tokens.join('')];
    case 'Replace': {
      const { pattern, content } = parsed(z.looseObject({ pattern: PatternSchema, content: z.string() }), component);
      const regExp = patternRegExp(pattern);
      return (tokens) => (regExp ? tokens.map((token) => token.replace(regExp, () => content)) : tokens);
    }
    case 'Strip': {
      const schema = z.looseObject({ content: z.string(), start: z.int().min(0), stop: z.int().min(0) });
      const { content, start, stop } = parsed(schema, component);
      return (tokens) => tokens.map((token) => stripped(token, content, start, stop));
    }
    case 'Metaspace': {
      const { replacement, prepend_scheme } = parsed(MetaspaceSchema, component);
      const drops = prepend_scheme !== 'never';
      return (tokens) => tokens.map((token, i) => token.replaceAll(replacement, i === 0 && drops ? '' : ' '));
    }
    case 'WordPiece': {
      const { prefix, cleanup } = parsed(z.looseObject({ prefix: z.string(), cleanup: z.boolean() }), component);
      return (tokens) =>
        tokens.map((token, i) => {
          const continues = token.startsWith(prefix);
          const text = i === 0 ? token : continues ? token.slice(prefix.length) : ` ${token}`;
          return cleanup ? cleaned(text) : text;
        });
    }
    case 'BPEDecoder': {
      const { suffix } = parsed(z.looseObject({ suffix: z.string().min(1) }), component);
      return (tokens) => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? '' : ' '));
    }
    default:
      throw unknownType('decoder', component);
  }
}

/** Tokens like <0xE2> are bytes; in a run that is not valid UTF-8 each byte becomes U+FFFD. */
function byteFallback(tokens: readonly string[]): string[] {
  const result: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    try {
      result.push(strict.decode(Uint8Array.from(bytes)));
    } catch {
      result.push(...bytes.map(() => '\ufffd'));
    }
    bytes = [];
  };
  for (const token of tokens) {
    const byte = byteOf(token);
    if (byte) bytes.push(...byte);
    else {
      flush();
      result.push(token);
    }
  }
  flush();
  return result;
}

/** The byte of a token like <0xE2>; null for any other. */
function byteOf(token: string): number[] | null {
  const [, digits] = /^<0x([0-9A-Fa-f]{2})>$/.exec(token) ?? [];
  return digits ? [Number.parseInt(digits, 16)] : null;
}

/** Removes up to `start` of a character from the beginning and up to `stop` from the end. */
function stripped(token: string, content: string, start: number, stop: number): string {
  const characters = [...token];
  let from = 0;
  while (from < Math.min(start, characters.length) && characters[from] === content) from++;
  let to = characters.length;
  while (characters.length - to < stop && to > from && characters[to - 1] === content) to--;
  return characters.slice(from, to).join('');
}

/** BERT's clean-up of spaces. */
function cleaned(text: string): string {
  return text
    .replaceAll(' .', '.')
    .replaceAll(' ?', '?')
    .replaceAll(' !', '!')
    .replaceAll(' ,', ',')
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(' do not', " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
}
