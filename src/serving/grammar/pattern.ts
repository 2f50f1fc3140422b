// JSON schema's `pattern`: the regular part of ECMAScript's expressions, as a rule that reads a JSON string which they match.
import { utf8 } from '../../protocol/hash.ts';
import { ServingError } from '../errors.ts';
import { manyByteCharacter } from './json-text.ts';
import type { MachineBuilder } from './machine.ts';

/** Inclusive ranges of code points. */
type Characters = readonly (readonly [number, number])[];

type Expression =
  | { readonly kind: 'set'; readonly characters: Characters }
  | { readonly kind: 'sequence'; readonly parts: readonly Expression[] }
  | { readonly kind: 'choice'; readonly parts: readonly Expression[] }
  | { readonly kind: 'repeat'; readonly part: Expression; readonly least: number; readonly most: number };

const LAST = 0x10ffff;
const DIGIT: Characters = [[0x30, 0x39]];
const WORD: Characters = [...DIGIT, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]];
// ECMAScript's WhiteSpace and LineTerminator.
const SPACE: Characters = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const LINE_ENDS: Characters = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];
const ANY: Expression = { kind: 'set', characters: [[0, LAST]] };
const ANY_TEXT: Expression = { kind: 'repeat', part: ANY, least: 0, most: Infinity };
const LIMIT_GROUPS = 50;

/** The rule of the JSON strings that an expression matches somewhere. Throws ServingError `unsupported`, naming what and `path`. */
export function patternRule(builder: MachineBuilder, pattern: string, path: string): number {
  const expression = new Reader(pattern, path).read();
  const start = builder.state();
  const end = builder.state();
  builder.final(end);
  const behind = build(builder, expression, builder.text(start, '"'));
  builder.edge(behind, 0x22, 0x22, end);
  return start;
}

function build(builder: MachineBuilder, expression: Expression, from: number): number {
  switch (expression.kind) {
    case 'set': {
      const to = builder.state();
      for (const [lo, hi] of expression.characters) readCharacters(builder, from, lo, hi, to);
      return to;
    }
    case 'sequence': {
      let at = from;
      for (const part of expression.parts) at = build(builder, part, at);
      return at;
    }
    case 'choice': {
      const to = builder.state();
      for (const part of expression.parts) {
        const begin = builder.state();
        builder.skip(from, begin);
        builder.skip(build(builder, part, begin), to);
      }
      return to;
    }
    case 'repeat': {
      let at = from;
      for (let i = 0; i < expression.least; i++) at = build(builder, expression.part, at);
      if (expression.most === Infinity) {
        const again = builder.state();
        builder.skip(at, again);
        builder.skip(build(builder, expression.part, again), again);
        return again;
      }
      const to = builder.state();
      builder.skip(at, to);
      for (let i = expression.least; i < expression.most; i++) {
        at = build(builder, expression.part, at);
        builder.skip(at, to);
      }
      return to;
    }
  }
}

/** The characters lo..hi as JSON spells them: one spelling each, itself where that is allowed. */
function readCharacters(builder: MachineBuilder, from: number, lo: number, hi: number, to: number): void {
  for (let code = lo; code <= Math.min(hi, 0x7f); code++) {
    const spelled = JSON.stringify(String.fromCharCode(code)).slice(1, -1);
    if (spelled.length > 1) builder.skip(builder.text(from, spelled), to);
    else builder.edge(from, code, code, to);
  }
  if (lo <= 0x80 && hi === LAST) manyByteCharacter(builder, from, to);
  else {
    // Halves of surrogate pairs are no characters.
    readMany(builder, from, Math.max(lo, 0x80), Math.min(hi, 0xd7ff), to);
    readMany(builder, from, Math.max(lo, 0xe000), hi, to);
  }
}

/** Code points above 0x7f as UTF-8, split until each byte has a range of its own. */
function readMany(builder: MachineBuilder, from: number, lo: number, hi: number, to: number): void {
  if (lo > hi) return;
  for (const last of [0x7ff, 0xffff]) {
    if (lo <= last && hi > last) {
      readMany(builder, from, lo, last, to);
      readMany(builder, from, last + 1, hi, to);
      return;
    }
  }
  for (const bits of [6, 12, 18]) {
    const rest = 2 ** bits - 1;
    if (Math.floor(lo / (rest + 1)) === Math.floor(hi / (rest + 1))) break;
    if ((lo & rest) !== 0) {
      readMany(builder, from, lo, lo | rest, to);
      readMany(builder, from, (lo | rest) + 1, hi, to);
      return;
    }
    if ((hi & rest) !== rest) {
      readMany(builder, from, lo, (hi & ~rest) - 1, to);
      readMany(builder, from, hi & ~rest, hi, to);
      return;
    }
  }
  const first = utf8(String.fromCodePoint(lo));
  const final = utf8(String.fromCodePoint(hi));
  let at = from;
  for (const [i, byte] of first.entries()) {
    const next = i === first.length - 1 ? to : builder.state();
    builder.edge(at, byte, final[i], next);
    at = next;
  }
}

function inverse(characters: Characters): Characters {
  const gaps: [number, number][] = [];
  let from = 0;
  for (const [lo, hi] of [...characters].sort(([a], [b]) => a - b)) {
    if (lo > from) gaps.push([from, lo - 1]);
    from = Math.max(from, hi + 1);
  }
  if (from <= LAST) gaps.push([from, LAST]);
  return gaps;
}

class Reader {
  readonly #characters: readonly string[];
  readonly #path: string;
  #at = 0;
  #groups = 0;

  constructor(pattern: string, path: string) {
    this.#characters = [...pattern];
    this.#path = path;
  }

  /** The whole expression; an end of it that is not anchored is followed by any text. */
  read(): Expression {
    const parts: Expression[] = [];
    do {
      const first = this.#take('^') ? [] : [ANY_TEXT];
      const middle = this.#sequence();
      parts.push({ kind: 'sequence', parts: [...first, middle, ...(this.#take('$') ? [] : [ANY_TEXT])] });
    } while (this.#take('|'));
    if (this.#at < this.#characters.length) this.#refuse(`"${this.#characters[this.#at]}" in this place`);
    return { kind: 'choice', parts };
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #refuse(what: string): never {
    throw new ServingError('unsupported', `schema: pattern at ${this.#path}: ${what} is not supported`, {
      keyword: 'pattern',
      path: this.#path,
    });
  }

  #choice(): Expression {
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    return { kind: 'choice', parts };
  }

  #sequence(): Expression {
    const parts: Expression[] = [];
    for (let next = this.#peek(); next !== undefined && !'|)$'.includes(next); next = this.#peek()) {
      parts.push(this.#quantified(this.#atom()));
    }
    return { kind: 'sequence', parts };
  }

  #atom(): Expression {
    const character = this.#characters[this.#at++];
    if (character === '(') return this.#group();
    if (character === '[') return { kind: 'set', characters: this.#class() };
    if (character === '.') return { kind: 'set', characters: inverse(LINE_ENDS) };
    if (character === '\\') return { kind: 'set', characters: this.#escape() };
    if ('^*+?{}]'.includes(character)) this.#refuse(`"${character}" in this place`);
    return { kind: 'set', characters: [[codeOf(character), codeOf(character)]] };
  }

  #group(): Expression {
    if (++this.#groups > LIMIT_GROUPS) this.#refuse(`more than ${LIMIT_GROUPS} groups`);
    if (this.#take('?')) {
      if (this.#take('<')) {
        if (this.#peek() === '=' || this.#peek() === '!') this.#refuse('a look behind "(?<"');
        while (!this.#take('>')) if (this.#at++ >= this.#characters.length) this.#refuse('a group name without an end');
      } else if (!this.#take(':')) this.#refuse(`a group "(?${this.#peek() ?? ''}"`);
    }
    const inner = this.#choice();
    if (!this.#take(')')) this.#refuse(this.#peek() === '$' ? '"$" within a group' : 'a group without an end');
    return inner;
  }

  #quantified(part: Expression): Expression {
    const bounds = this.#bounds();
    if (bounds === null) return part;
    this.#take('?'); // lazy: it matches the same texts
    if (this.#bounds() !== null) this.#refuse('a quantifier behind a quantifier');
    return { kind: 'repeat', part, least: bounds[0], most: bounds[1] };
  }

  #bounds(): readonly [number, number] | null {
    if (this.#take('*')) return [0, Infinity];
    if (this.#take('+')) return [1, Infinity];
    if (this.#take('?')) return [0, 1];
    const match = /^\{(\d{1,6})(,(\d{0,6}))?\}/.exec(this.#characters.slice(this.#at, this.#at + 16).join(''));
    if (match === null) return null;
    this.#at += match[0].length;
    const least = Number(match[1]);
    const most = match[2] === undefined ? least : match[3] === '' ? Infinity : Number(match[3]);
    if (most < least) this.#refuse(`the quantifier ${match[0]}`);
    return [least, most];
  }

  #class(): Characters {
    const inverted = this.#take('^');
    const characters: (readonly [number, number])[] = [];
    while (!this.#take(']')) {
      const from = this.#classPart();
      const single = from.length === 1 && from[0][0] === from[0][1];
      if (single && this.#peek() === '-' && this.#characters[this.#at + 1] !== ']') {
        this.#at++;
        const to = this.#classPart();
        if (to.length !== 1 || to[0][0] !== to[0][1] || to[0][0] < from[0][0]) this.#refuse('this range in a class');
        characters.push([from[0][0], to[0][0]]);
      } else characters.push(...from);
    }
    return inverted ? inverse(characters) : characters;
  }

  #classPart(): Characters {
    if (this.#at >= this.#characters.length) this.#refuse('a class without an end');
    const character = this.#characters[this.#at++];
    if (character === '\\') return this.#take('b') ? [[8, 8]] : this.#escape();
    return [[codeOf(character), codeOf(character)]];
  }

  #escape(): Characters {
    const character = this.#characters[this.#at++] ?? '';
    const classes: Record<string, Characters> = { d: DIGIT, w: WORD, s: SPACE };
    const known = classes[character.toLowerCase()];
    if (known) return character === character.toLowerCase() ? known : inverse(known);
    const controls: Record<string, number> = { n: 10, r: 13, t: 9, f: 12, v: 11 };
    let code = controls[character];
    if (code === undefined && (character === 'x' || character === 'u')) code = this.#hex(character);
    if (code === undefined) {
      if (!/^[\^$\\.*+?()[\]{}|/\-"'#&%,:;<=>@`~! _]$/.test(character)) this.#refuse(`"\\${character}"`);
      code = codeOf(character);
    }
    return [[code, code]];
  }

  #hex(kind: 'x' | 'u'): number {
    const rest = this.#characters.slice(this.#at, this.#at + 8).join('');
    const match = (kind === 'x' ? /^([0-9a-fA-F]{2})/ : /^([0-9a-fA-F]{4})|^\{([0-9a-fA-F]{1,6})\}/).exec(rest);
    const code = Number.parseInt(match?.[1] ?? match?.[2] ?? '', 16);
    if (match === null || code > LAST || (code >= 0xd800 && code <= 0xdfff))
      this.#refuse(`"\\${kind}${rest.slice(0, 4)}"`);
    this.#at += match[0].length;
    return code;
  }
}

function codeOf(character: string): number {
  return character.codePointAt(0) as number;
}
