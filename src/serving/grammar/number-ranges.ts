// Numbers between two bounds, as rules that read digits: while all digits so far are those of a bound, the next one is compared with it.
import { MOST_DIGITS, upToDigits } from './json-text.ts';
import type { MachineBuilder } from './machine.ts';

export interface Bound {
  readonly value: number;
  /** Whether the bound itself is excluded. */
  readonly open: boolean;
}

/** A magnitude in decimal, without needless zeros. */
interface Decimal {
  readonly whole: string;
  readonly fraction: string;
  readonly open: boolean;
}

const ZERO: Decimal = { whole: '0', fraction: '', open: false };
const LARGEST: Decimal = { whole: '9'.repeat(MOST_DIGITS), fraction: '9'.repeat(MOST_DIGITS), open: false };

/**
 * The rule of the numbers within the bounds that have at most 15 digits in all, `decimals` of them behind the point: each text is its own
 * float64, so what is true of the digits is true of the number that JSON.parse makes of them.
 */
export function rangeRule(builder: MachineBuilder, least: Bound | null, most: Bound | null, decimals: number): number {
  const start = builder.state();
  const end = builder.state();
  builder.final(end);
  const low = least ?? { value: -Infinity, open: false };
  const high = most ?? { value: Infinity, open: false };
  if (high.value > 0 || (high.value === 0 && !high.open)) {
    magnitude(builder, start, end, { low: low.value < 0 ? ZERO : decimalOf(low), high: decimalOf(high), decimals });
  }
  if (low.value < 0) {
    const minus = builder.text(start, '-');
    const nearest = high.value > 0 ? ZERO : decimalOf(high);
    magnitude(builder, minus, end, { low: nearest, high: decimalOf(low), decimals });
  }
  return start;
}

function decimalOf({ value, open }: Bound): Decimal {
  const magnitude = Math.abs(value);
  if (magnitude >= 10 ** MOST_DIGITS) return { ...LARGEST, open: false };
  const [digits, power = '0'] = magnitude.toString().split('e');
  const [whole, fraction = ''] = digits.split('.');
  if (power === '0') return { whole, fraction, open };
  // Only small numbers are written with an exponent here: 1.5e-7.
  return { whole: '0', fraction: '0'.repeat(-Number(power) - 1) + whole + fraction, open };
}

/** Whether the digits so far are those of the lower bound (of the upper one): then the next digit is compared with it. */
interface Tight {
  readonly low: boolean;
  readonly high: boolean;
}

function magnitude(
  builder: MachineBuilder,
  from: number,
  end: number,
  range: { readonly low: Decimal; readonly high: Decimal; readonly decimals: number },
): void {
  const { low, high, decimals } = range;
  for (let length = low.whole.length; length <= high.whole.length; length++) {
    const tight = { low: length === low.whole.length, high: length === high.whole.length };
    const most_decimals = Math.min(decimals, MOST_DIGITS - length);
    // Rows of states: what is tight → state.
    let row = new Map([[keyOf(tight), { state: branch(builder, from), tight }]]);
    for (let at = 0; at < length; at++) {
      const digits = [low.whole[at], high.whole[at]] as const;
      row = nextDigit(builder, row, digits, at === 0 && length > 1 ? 1 : 0);
    }
    for (const { state, tight } of row.values()) {
      if (mayEnd(tight, low, high, 0)) builder.skip(state, end);
    }
    if (most_decimals === 0) continue;
    for (const [key, place] of row) row.set(key, { ...place, state: builder.text(place.state, '.') });
    for (let at = 0; at < most_decimals && row.size > 0; at++) {
      const free = row.get(keyOf({ low: false, high: false }));
      if (free) {
        // Nothing is compared any more: at least one digit, then any.
        const first = builder.state();
        builder.edge(free.state, 0x30, 0x39, first);
        upToDigits(builder, first, most_decimals - at - 1, end);
        row.delete(keyOf(free.tight));
      }
      row = nextDigit(builder, row, [low.fraction[at] ?? '0', high.fraction[at] ?? '0'], 0);
      for (const { state, tight } of row.values()) if (mayEnd(tight, low, high, at + 1)) builder.skip(state, end);
    }
  }
}

function branch(builder: MachineBuilder, from: number): number {
  const to = builder.state();
  builder.skip(from, to);
  return to;
}

function keyOf({ low, high }: Tight): number {
  return (low ? 1 : 0) + (high ? 2 : 0);
}

type Row = Map<number, { readonly state: number; readonly tight: Tight }>;

function nextDigit(builder: MachineBuilder, row: Row, bound: readonly [string, string], least: number): Row {
  const next: Row = new Map();
  for (const { state, tight } of row.values()) {
    const lowest = Math.max(least, tight.low ? Number(bound[0]) : 0);
    const highest = tight.high ? Number(bound[1]) : 9;
    for (let digit = lowest; digit <= highest; digit++) {
      const then = {
        low: tight.low && digit === Number(bound[0]),
        high: tight.high && digit === Number(bound[1]),
      };
      const key = keyOf(then);
      const place = next.get(key) ?? { state: builder.state(), tight: then };
      next.set(key, place);
      builder.edge(state, 0x30 + digit, 0x30 + digit, place.state);
    }
  }
  return next;
}

/** Whether a number may end behind `decimals` digits of its fraction. */
function mayEnd(tight: Tight, low: Decimal, high: Decimal, decimals: number): boolean {
  // Equal to the lower bound so far: less than it when it has further digits.
  if (tight.low && (low.fraction.length > decimals || low.open)) return false;
  return !(tight.high && high.fraction.length <= decimals && high.open);
}
