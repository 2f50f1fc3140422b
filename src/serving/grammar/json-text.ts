// The rules of JSON's text (RFC 8259): strings, numbers, spaces, literals, any value. Stricter than the standard where a model would lose itself.
import type { MachineBuilder } from './machine.ts';

/** A JSON value of any kind nests; a rule is known by the state that begins it. */
export interface JsonRules {
  /** At most one space, or a line break with up to 20 spaces or tabs: a model that likes spaces comes to an end. */
  readonly space: number;
  readonly string: number;
  /** At most 15 digits, so that each is its own float64. */
  readonly integer: number;
  /** At most 15 digits before and behind the point, exponents of two digits: never Infinity. */
  readonly number: number;
  readonly object: number;
  readonly array: number;
  readonly value: number;
}

export const MOST_DIGITS = 15;
const MOST_INDENT = 20;

/** The rules, made when they are first asked for. */
export function jsonRules(builder: MachineBuilder): JsonRules {
  const value = builder.state();
  const space = spaceRule(builder);
  const string = stringRule(builder, 0, Infinity);
  const number = numberRule(builder, true);
  const array = arrayRule(builder, space, { each: value, least: 0, most: Infinity, first: [] });
  const object = mapRule(builder, space, string, value);
  const end = builder.state();
  builder.final(end);
  for (const rule of [string, number, array, object]) builder.call(value, rule, end);
  for (const word of ['true', 'false', 'null']) builder.skip(builder.text(value, word), end);
  return { space, string, integer: numberRule(builder, false), number, object, array, value };
}

function spaceRule(builder: MachineBuilder): number {
  const start = builder.state();
  const end = builder.state();
  builder.final(start);
  builder.final(end);
  builder.edge(start, 0x20, 0x20, end);
  let at = builder.state();
  builder.edge(start, 0x0a, 0x0a, at);
  builder.final(at);
  for (let i = 0; i < MOST_INDENT; i++) {
    const next = builder.state();
    builder.edge(at, 0x20, 0x20, next);
    builder.edge(at, 0x09, 0x09, next);
    builder.final(next);
    at = next;
  }
  return start;
}

/** A string of least..most characters, each as itself in UTF-8 or as an escape; halves of surrogate pairs are no characters. */
export function stringRule(builder: MachineBuilder, least: number, most: number): number {
  const start = builder.state();
  const end = builder.state();
  builder.final(end);
  let at = builder.text(start, '"');
  const counted = Number.isFinite(most) ? most : least;
  for (let i = 0; i < counted; i++) {
    if (i >= least) builder.edge(at, 0x22, 0x22, end);
    builder.room(at, most - i);
    const next = builder.state();
    stringCharacter(builder, at, next);
    at = next;
  }
  builder.edge(at, 0x22, 0x22, end);
  if (!Number.isFinite(most)) {
    builder.room(at, Infinity);
    stringCharacter(builder, at, at);
  }
  return start;
}

/** One character within a string. */
function stringCharacter(builder: MachineBuilder, from: number, to: number): void {
  builder.edge(from, 0x20, 0x21, to);
  builder.edge(from, 0x23, 0x5b, to);
  builder.edge(from, 0x5d, 0x7f, to);
  manyByteCharacter(builder, from, to);
  const escaped = builder.text(from, '\\');
  for (const character of '"\\/bfnrt') builder.edge(escaped, character.charCodeAt(0), character.charCodeAt(0), to);
  const [one, two, three, four] = [builder.text(escaped, 'u'), builder.state(), builder.state(), builder.state()];
  const last_two = builder.state();
  // The first digit d: 8..f behind it would be a surrogate.
  for (const [lo, hi] of ['09', 'AC', 'ac', 'EF', 'ef'].map(codes)) builder.edge(one, lo, hi, two);
  for (const [lo, hi] of ['DD', 'dd'].map(codes)) builder.edge(one, lo, hi, last_two);
  hexDigit(builder, two, three);
  builder.edge(last_two, 0x30, 0x37, three);
  hexDigit(builder, three, four);
  hexDigit(builder, four, to);
}

function codes(pair: string): [number, number] {
  return [pair.charCodeAt(0), pair.charCodeAt(1)];
}

function hexDigit(builder: MachineBuilder, from: number, to: number): void {
  for (const [lo, hi] of ['09', 'AF', 'af'].map(codes)) builder.edge(from, lo, hi, to);
}

/** A character of two to four bytes: Unicode's table 3-7, well-formed UTF-8. */
export function manyByteCharacter(builder: MachineBuilder, from: number, to: number): void {
  const last = builder.state();
  const last_two = builder.state();
  const last_three = builder.state();
  builder.edge(last, 0x80, 0xbf, to);
  builder.edge(last_two, 0x80, 0xbf, last);
  builder.edge(last_three, 0x80, 0xbf, last_two);
  builder.edge(from, 0xc2, 0xdf, last);
  builder.edge(from, 0xe1, 0xec, last_two);
  builder.edge(from, 0xee, 0xef, last_two);
  builder.edge(from, 0xf1, 0xf3, last_three);
  const narrow: readonly (readonly [number, number, number, number])[] = [
    [0xe0, 0xa0, 0xbf, last],
    [0xed, 0x80, 0x9f, last],
    [0xf0, 0x90, 0xbf, last_two],
    [0xf4, 0x80, 0x8f, last_two],
  ];
  for (const [first, lo, hi, then] of narrow) {
    const second = builder.state();
    builder.edge(from, first, first, second);
    builder.edge(second, lo, hi, then);
  }
}

function numberRule(builder: MachineBuilder, fraction: boolean): number {
  const start = builder.state();
  const end = builder.state();
  builder.final(end);
  const digits = builder.state();
  builder.skip(start, digits);
  builder.edge(start, 0x2d, 0x2d, digits);
  const whole = builder.state();
  builder.edge(digits, 0x30, 0x30, whole);
  const first = builder.state();
  builder.edge(digits, 0x31, 0x39, first);
  upToDigits(builder, first, MOST_DIGITS - 1, whole);
  builder.skip(whole, end);
  if (!fraction) return start;
  const point = builder.text(whole, '.');
  const tenths = builder.state();
  builder.edge(point, 0x30, 0x39, tenths);
  const mantissa = builder.state();
  upToDigits(builder, tenths, MOST_DIGITS - 1, mantissa);
  builder.skip(mantissa, end);
  builder.skip(whole, mantissa);
  const exponent = builder.state();
  builder.edge(mantissa, 0x45, 0x45, exponent);
  builder.edge(mantissa, 0x65, 0x65, exponent);
  const unsigned = builder.state();
  builder.skip(exponent, unsigned);
  builder.edge(exponent, 0x2b, 0x2b, unsigned);
  builder.edge(exponent, 0x2d, 0x2d, unsigned);
  const power = builder.state();
  builder.edge(unsigned, 0x30, 0x39, power);
  upToDigits(builder, power, 1, end);
  return start;
}

/** At most so many further digits. */
export function upToDigits(builder: MachineBuilder, from: number, most: number, to: number): void {
  let at = from;
  builder.skip(at, to);
  for (let i = 0; i < most; i++) {
    const next = builder.state();
    builder.edge(at, 0x30, 0x39, next);
    builder.skip(next, to);
    at = next;
  }
}

/** Reads `text` with a space allowed behind it. */
function spaced(builder: MachineBuilder, from: number, text: string, space: number): number {
  const to = builder.state();
  builder.call(builder.text(from, text), space, to);
  return to;
}

/** A rule of one more level of nesting: the states behind its opening bracket and before its closing one. */
function bracketed(builder: MachineBuilder, space: number, opening: '[' | '{', closing: ']' | '}') {
  const start = builder.state();
  builder.nest(start);
  const end = builder.state();
  builder.final(end);
  const close = builder.state();
  builder.edge(close, closing.charCodeAt(0), closing.charCodeAt(0), end);
  return { start, open: spaced(builder, start, opening, space), close };
}

/** An array: `first` holds the rules of its first items, `each` that of all others. */
export function arrayRule(
  builder: MachineBuilder,
  space: number,
  items: {
    readonly first: readonly number[];
    readonly each: number | null;
    readonly least: number;
    readonly most: number;
  },
): number {
  const { start, open, close } = bracketed(builder, space, '[', ']');
  let at = open;
  let count = 0;
  if (items.least === 0 && items.first.length === 0) builder.skip(at, close);
  const counted = Math.max(items.first.length, Number.isFinite(items.most) ? items.most : Math.max(items.least, 1));
  while (count < counted) {
    const rule = items.first[count] ?? items.each;
    if (rule === null) break;
    const item = count === 0 ? at : spaced(builder, at, ',', space);
    const behind = builder.state();
    builder.call(item, rule, behind);
    at = builder.state();
    builder.call(behind, space, at);
    count++;
    if (count >= items.least && count >= items.first.length) builder.skip(at, close);
  }
  // Further items go round: a comma, an item, back to behind the last one.
  if (!Number.isFinite(items.most) && items.each !== null) {
    const behind = builder.state();
    builder.call(spaced(builder, at, ',', space), items.each, behind);
    builder.call(behind, space, at);
  }
  return start;
}

/** An object of any number of members. */
export function mapRule(builder: MachineBuilder, space: number, key: number, value: number): number {
  const { start, open, close } = bracketed(builder, space, '{', '}');
  builder.skip(open, close);
  const member = builder.state();
  builder.skip(open, member);
  const behind = memberOf(builder, space, member, value, (from, to) => builder.call(from, key, to));
  builder.skip(behind, close);
  builder.skip(spaced(builder, behind, ',', space), member);
  return start;
}

export interface Member {
  readonly name: string;
  readonly value: number;
  readonly required: boolean;
}

/** An object of these members in this order; those that are not required may be left out. */
export function objectRule(builder: MachineBuilder, space: number, members: readonly Member[]): number {
  const { start, open, close } = bracketed(builder, space, '{', '}');
  // Two rows of states: before the first member (no comma), and behind one.
  let none = open;
  let some = builder.state();
  for (const { name, value, required } of members) {
    const key = builder.state();
    builder.skip(none, key);
    builder.skip(spaced(builder, some, ',', space), key);
    const behind = memberOf(builder, space, key, value, (from, to) =>
      builder.skip(builder.text(from, JSON.stringify(name)), to),
    );
    if (required) {
      none = builder.state(); // reached by nobody: a member is there
      some = behind;
      continue;
    }
    const next_none = builder.state();
    const next_some = builder.state();
    builder.skip(none, next_none);
    builder.skip(some, next_some);
    builder.skip(behind, next_some);
    none = next_none;
    some = next_some;
  }
  builder.skip(none, close);
  builder.skip(some, close);
  return start;
}

/** `key: value` and spaces; returns the state behind. */
function memberOf(
  builder: MachineBuilder,
  space: number,
  from: number,
  value: number,
  readKey: (from: number, to: number) => void,
): number {
  const named = builder.state();
  readKey(from, named);
  const worth = builder.state();
  builder.call(spaced(builder, named, ':', space), value, worth);
  const behind = builder.state();
  builder.call(worth, space, behind);
  return behind;
}
