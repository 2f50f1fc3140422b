// Translates a regular expression of Oniguruma (doc/RE, Ruby's syntax), which Hugging Face's tokenizers use, into JavaScript's with the flag v.
// Only this file needs that flag: a browser that does not know it could not parse a file with a literal that uses it.
import { ModelError } from '../errors.ts';

/** Outside a class \w includes the Latin-1 fractions and superscripts; inside one it does not. */
const IN_CLASS = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}';
const WORD = `[${IN_CLASS}\\xb2\\xb3\\xb9\\xbc-\\xbe]`;
/** The meaning of the shorthands in Oniguruma: JavaScript's \s includes U+FEFF and lacks U+0085, and its \w and \d are ASCII only. */
const SETS: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  S: '\\P{White_Space}',
  d: '\\p{Nd}',
  D: '\\P{Nd}',
  w: WORD,
  W: `[^${WORD}]`,
  h: '[0-9A-Fa-f]',
  H: '[^0-9A-Fa-f]',
};
const CONTROLS: Readonly<Record<string, string>> = {
  ...{ n: '\\n', r: '\\r', t: '\\t', f: '\\f', v: '\\v', a: '\\x07', e: '\\x1b' },
};
const ANCHORS: Readonly<Record<string, string>> = {
  b: `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`,
  B: `(?:(?<=${WORD})(?=${WORD})|(?<!${WORD})(?!${WORD}))`,
  A: '(?<![\\s\\S])',
  z: '(?![\\s\\S])',
  Z: '(?=\\n?(?![\\s\\S]))',
};
const POSIX: Readonly<Record<string, string>> = {
  ...{ alpha: '\\p{Alphabetic}', digit: '\\p{Nd}', alnum: '\\p{Alphabetic}\\p{Nd}', space: '\\p{White_Space}' },
  ...{ upper: '\\p{Uppercase}', lower: '\\p{Lowercase}', xdigit: '0-9A-Fa-f', cntrl: '\\p{Cc}' },
};
/** Non-ASCII letters that equal an ASCII letter when case is ignored: the long s, and the kelvin sign. */
const FOLDED: Readonly<Record<string, string>> = { s: 'ſ', k: '\u212a' };

/** A regular expression with the same matches as Oniguruma's, all of them (flag g). Throws ModelError `unsupported`, naming what is not translated. */
export function onigurumaRegExp(source: string): RegExp {
  const translated = new Translation(source).whole();
  try {
    return new RegExp(translated, 'gv');
  } catch (error) {
    throw refusal(source, error instanceof Error ? error.message : String(error));
  }
}

/** A pattern that is plain text, as a regular expression. */
export function literalRegExp(text: string): RegExp {
  return new RegExp([...text].map(escaped).join(''), 'gu');
}

const refusal = (source: string, fact: string) =>
  new ModelError('unsupported', `the regular expression ${JSON.stringify(source)} is not translated: ${fact}`);

/** A literal character. Not every character may follow a backslash, but all may be written by their code point. */
function escaped(character: string): string {
  return /[^0-9A-Za-z\x80-\u{10ffff}]/u.test(character)
    ? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
    : character;
}

class Translation {
  readonly #source: string;
  #at = 0;
  #atomic = 0;

  constructor(source: string) {
    this.#source = source;
  }

  whole(): string {
    const result = this.#alternatives(false);
    if (this.#at < this.#source.length) throw this.#refusal('a ")" that closes nothing');
    return result;
  }

  #refusal(fact: string): ModelError {
    return refusal(this.#source, fact);
  }

  #takes(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #character(): string {
    const point = this.#source.codePointAt(this.#at);
    if (point === undefined) throw this.#refusal('it ends too early');
    const character = String.fromCodePoint(point);
    this.#at += character.length;
    return character;
  }

  /** Up to the end, or to the bracket that closes this group. */
  #alternatives(ignoreCase: boolean): string {
    let result = '';
    let ignored = ignoreCase;
    while (this.#at < this.#source.length && this.#source[this.#at] !== ')') {
      if (this.#takes('|')) result += '|';
      else if (this.#takes('(?i)')) {
        if (result !== '') throw this.#refusal('"(?i)" within a pattern');
        ignored = true;
      } else result += this.#repeated(this.#atom(ignored));
    }
    return result;
  }

  #atom(ignoreCase: boolean): string {
    if (this.#source[this.#at] === '(') return this.#group(ignoreCase);
    if (this.#source[this.#at] === '[') return this.#class(ignoreCase);
    if (this.#takes('\\')) return this.#escape(ignoreCase, false);
    const character = this.#character();
    if (character === '.') return '[^\\n]';
    if (character === '^') return '(?<![^\\n])';
    if (character === '$') return '(?![^\\n])';
    if ('*+?'.includes(character)) throw this.#refusal(`"${character}" repeats nothing`);
    return this.#literal(character, ignoreCase);
  }

  #literal(character: string, ignoreCase: boolean): string {
    if (!ignoreCase || character.toLowerCase() === character.toUpperCase()) return escaped(character);
    return `[${this.#folded(character)}]`;
  }

  #folded(character: string): string {
    if (character > '\x7f') throw this.#refusal(`"${character}" where case is ignored`);
    const lower = character.toLowerCase();
    return lower + character.toUpperCase() + (FOLDED[lower] ?? '');
  }

  #group(ignoreCase: boolean): string {
    const kinds = ['(?:', '(?=', '(?!', '(?<=', '(?<!', '(?>', '(?i:', '(?-i:', '('];
    const kind = kinds.find((start) => this.#takes(start))!;
    if (kind === '(' && this.#source[this.#at] === '?') {
      throw this.#refusal(`"${this.#source.slice(this.#at - 1, this.#at + 3)}"`);
    }
    const inside = this.#alternatives(kind === '(?i:' || (ignoreCase && kind !== '(?-i:'));
    if (!this.#takes(')')) throw this.#refusal('a group is not closed');
    if (kind === '(?>') return this.#atomically(inside);
    const open = kind === '(' || kind === '(?i:' || kind === '(?-i:' ? '(?:' : kind;
    return `${open}${inside})`;
  }

  /** JavaScript has no atomic groups; a lookahead acts as one, followed by a reference to what it has captured. */
  #atomically(inside: string): string {
    const name = `a${this.#atomic++}`;
    return `(?:(?=(?<${name}>${inside}))\\k<${name}>)`;
  }

  #repeated(atom: string): string {
    let result = atom;
    for (;;) {
      const [simple] = /^[*+?]/.exec(this.#source.slice(this.#at)) ?? [];
      const [counted, least, comma, most] = /^\{(\d*)(,?)(\d*)\}/.exec(this.#source.slice(this.#at)) ?? [];
      if (simple) {
        this.#at += simple.length;
        if (this.#takes('+')) result = this.#atomically(`${result}${simple}`);
        else result += simple + (this.#takes('?') ? '?' : '');
      } else if (counted && counted !== '{}' && counted !== '{,}') {
        this.#at += counted.length;
        const lazy = this.#takes('?');
        if (lazy && !comma) throw this.#refusal(`"${counted}?"`);
        result += `{${least === '' ? 0 : least}${comma}${most}}${lazy ? '?' : ''}`;
      } else return result;
      // A repetition of a repetition.
      if (/^([*+?]|\{\d)/.test(this.#source.slice(this.#at))) result = `(?:${result})`;
    }
  }

  /** After a backslash. There are no anchors inside a class. */
  #escape(ignoreCase: boolean, inClass: boolean): string {
    const character = this.#character();
    if (character === 'p' || character === 'P') return this.#property(character);
    if (inClass && (character === 'w' || character === 'W')) return `[${character === 'W' ? '^' : ''}${IN_CLASS}]`;
    if (Object.hasOwn(SETS, character)) return SETS[character];
    if (Object.hasOwn(CONTROLS, character)) return CONTROLS[character];
    if (!inClass && Object.hasOwn(ANCHORS, character)) return ANCHORS[character];
    if (character === 'x' || character === 'u') {
      const pattern = character === 'x' ? /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))/ : /^([0-9A-Fa-f]{4})/;
      const match = pattern.exec(this.#source.slice(this.#at));
      if (!match) throw this.#refusal(`"\\${character}" without its digits`);
      this.#at += match[0].length;
      return `\\u{${match[1] ?? match[2]}}`;
    }
    if (/[A-Za-z0-9]/.test(character)) throw this.#refusal(`"\\${character}"`);
    return this.#literal(character, ignoreCase && !inClass);
  }

  #property(kind: string): string {
    const match = /^\{(\^?)([A-Za-z_ ]+)\}/.exec(this.#source.slice(this.#at));
    if (!match) throw this.#refusal(`"\\${kind}" without a name`);
    this.#at += match[0].length;
    const negated = (kind === 'P') !== (match[1] === '^');
    for (const name of [match[2], `Script=${match[2]}`]) {
      try {
        new RegExp(`\\p{${name}}`, 'v');
        return `\\${negated ? 'P' : 'p'}{${name}}`;
      } catch {}
    }
    throw this.#refusal(`the property "${match[2]}"`);
  }

  #class(ignoreCase: boolean): string {
    this.#at++; // [
    const negated = this.#takes('^');
    const operands: string[] = [];
    let members = '';
    const close = (): void => {
      if (members === '') throw this.#refusal('an empty class');
      operands.push(`[${members}]`);
      members = '';
    };
    for (let first = true; ; first = false) {
      if (this.#at >= this.#source.length) throw this.#refusal('a class is not closed');
      if (!first && this.#takes(']')) break;
      if (this.#takes('&&')) close();
      else members += this.#member(ignoreCase);
    }
    close();
    return operands.length === 1 && !negated ? operands[0] : `[${negated ? '^' : ''}${operands.join('&&')}]`;
  }

  /** A member of a class: a nested one, a named one, a character or a range. */
  #member(ignoreCase: boolean): string {
    const posix = /^\[:(\^?)(\w+):\]/.exec(this.#source.slice(this.#at));
    if (posix) {
      if (!Object.hasOwn(POSIX, posix[2])) throw this.#refusal(`"${posix[0]}"`);
      this.#at += posix[0].length;
      return `[${posix[1]}${POSIX[posix[2]]}]`;
    }
    if (this.#source[this.#at] === '[') return this.#class(ignoreCase);
    const from = this.#classCharacter();
    const isRange = this.#source[this.#at] === '-' && this.#source[this.#at + 1] !== ']';
    if (!isRange) return ignoreCase && from.letter ? this.#folded(from.letter) : from.text;
    if (from.isSet) throw this.#refusal('a range that begins with a class');
    this.#at++;
    const to = this.#classCharacter();
    if (to.isSet || ignoreCase) throw this.#refusal('a range of this kind');
    return `${from.text}-${to.text}`;
  }

  #classCharacter(): { readonly text: string; readonly isSet: boolean; readonly letter: string | null } {
    if (this.#takes('\\')) {
      const text = this.#escape(false, true);
      return { text, isSet: /^(\[|\\[pP])/.test(text), letter: null };
    }
    const character = this.#character();
    const letter = character.toLowerCase() === character.toUpperCase() ? null : character;
    return { text: escaped(character), isSet: false, letter };
  }
}
