// What an answer costs, in whole micro-credits: from what a token costs its device, over what the model's holders and the gateway take, to a charge.
import { assert } from '../errors.ts';

/** Micro-credits for a million tokens. */
export interface TokenPrice {
  readonly input_micro: number;
  readonly output_micro: number;
}

/** What a device has used for answers, and how many of their tokens were verified. Whole numbers from 0. */
export interface ServingCost {
  readonly energy_millijoules: number;
  /** The tariff of the hour, in micro-credits. */
  readonly micro_per_kwh: number;
  readonly worked_ms: number;
  /** What an hour of work wears off. */
  readonly wear_micro_per_hour: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
}

/** Which part of a charge goes where, in thousandths; the device gets the rest. */
export interface Split {
  readonly holders_permille: number;
  readonly gateway_permille: number;
}

export interface ChargeParts {
  readonly earns_micro: number;
  readonly holders_micro: number;
  readonly gateway_micro: number;
}

const MILLIJOULES_PER_KWH = 3_600_000_000n;
const MS_PER_HOUR = 3_600_000n;
const MILLION = 1_000_000n;

const ceil = (dividend: bigint, divisor: bigint): bigint => (dividend + divisor - 1n) / divisor;

function whole(what: string, value: number): bigint {
  assert(Number.isSafeInteger(value) && value >= 0, `${what} is a whole number from 0, got ${value}`);
  return BigInt(value);
}

function exact(what: string, value: bigint): number {
  assert(value <= BigInt(Number.MAX_SAFE_INTEGER), `${what} is at most 2^53 - 1, got ${value}`);
  return Number(value);
}

/**
 * The least price at which a device gets back what serving costs it, rounded up; null while no token is verified. `input_permille`: what
 * reading a token costs, in thousandths of what writing one does (measured per model and device: a prefill reads many at once).
 */
export function priceFloor(cost: ServingCost, input_permille: number): TokenPrice | null {
  const ratio = whole('input_permille', input_permille);
  // In thousandths of the cost of an output token.
  const tokens = 1000n * whole('output_tokens', cost.output_tokens) + ratio * whole('input_tokens', cost.input_tokens);
  if (tokens === 0n) return null;
  const energy = whole('energy', cost.energy_millijoules) * whole('micro_per_kwh', cost.micro_per_kwh);
  const wear = whole('worked_ms', cost.worked_ms) * whole('wear', cost.wear_micro_per_hour);
  // Both over one denominator, so that rounding happens once.
  const spent = energy * MS_PER_HOUR + wear * MILLIJOULES_PER_KWH;
  const each = MILLIJOULES_PER_KWH * MS_PER_HOUR * tokens;
  return {
    input_micro: exact('a price', ceil(spent * MILLION * ratio, each)),
    output_micro: exact('a price', ceil(spent * MILLION * 1000n, each)),
  };
}

/** What callers pay where a device gets at least `floor`: the parts of holders and gateway come on top. */
export function askedPrice(floor: TokenPrice, split: Split): TokenPrice {
  const rest = 1000n - takenOf(split);
  assert(rest > 0n, 'something is left for the device');
  const over = (micro: number): number => exact('a price', ceil(whole('a floor', micro) * 1000n, rest));
  return { input_micro: over(floor.input_micro), output_micro: over(floor.output_micro) };
}

/** What an answer costs at a price, rounded up to a micro-credit. */
export function chargeOf(price: TokenPrice, input_tokens: number, output_tokens: number): number {
  const input = whole('a price', price.input_micro) * whole('input_tokens', input_tokens);
  const output = whole('a price', price.output_micro) * whole('output_tokens', output_tokens);
  return exact('a charge', ceil(input + output, MILLION));
}

/** Who gets what of a charge for an answer of a run's model; of a model of no run (null) nobody holds shares. */
export const splitOf = (split: Split, run: string | null): Split =>
  run === null ? { ...split, holders_permille: 0 } : split;

const takenOf = ({ holders_permille, gateway_permille }: Split): bigint =>
  whole('holders_permille', holders_permille) + whole('gateway_permille', gateway_permille);

/** What comes on top of what a device earns, each part rounded up: together the charge, of which holders and gateway have their thousandths. */
export function chargeOver(earns_micro: number, split: Split): ChargeParts {
  const rest = 1000n - takenOf(split);
  assert(rest > 0n, 'something is left for the device');
  const earns = whole('what a device earns', earns_micro);
  const part = (permille: number): number => exact('a part', ceil(earns * BigInt(permille), rest));
  return { earns_micro, holders_micro: part(split.holders_permille), gateway_micro: part(split.gateway_permille) };
}
