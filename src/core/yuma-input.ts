// What an epoch of Yuma consensus is computed from, its parameters with the field's defaults, and what is refused.
import { type Refusal, refuse } from './refusal.ts';
import type { Row } from './sparse-matrix.ts';

/** The rules of an epoch. Those in u16 are shares of 65535. */
export interface YumaParameters {
  /** u16. The share of the active stake that must back a weight: 32767 is half. */
  readonly kappa: number;
  /** Millionths of the old bonds that stay in an epoch; 1 minus it is α. */
  readonly bonds_moving_average: number;
  /** u16. How much of a weight above the consensus buys no bonds: 65535, none of it does. */
  readonly bonds_penalty: number;
  /** "Yuma 3" only: an α between lo and hi (u16) for every bond; steepness in hundredths. */
  readonly liquid_alpha: {
    readonly enabled: boolean;
    readonly lo: number;
    readonly hi: number;
    readonly steepness: number;
  };
  /** Bonds by "Yuma 3" instead of "Yuma 2". */
  readonly yuma3: boolean;
  /** So many of the largest stakes may judge in the next epoch. */
  readonly max_validators: number;
  /** Stake below this counts as none, except the owner's. */
  readonly min_stake: bigint | number;
  /** Always has a permit and may weigh itself; null: nobody. */
  readonly owner_uid: number | null;
  /** Thousandths of a tempo of blocks without weights after which a validator is inactive. */
  readonly activity_cutoff_factor: number;
}

/** Bittensor's defaults of June 2026, for a set of neurons without an owner. */
export const DEFAULT_YUMA_PARAMETERS: YumaParameters = {
  kappa: 32_767,
  bonds_moving_average: 900_000,
  bonds_penalty: 65_535,
  liquid_alpha: { enabled: false, lo: 45_875, hi: 58_982, steepness: 1000 },
  yuma3: false,
  max_validators: 64,
  min_stake: 0,
  owner_uid: null,
  activity_cutoff_factor: 13_889,
};

/** Everything an epoch depends on. Every list has one entry a neuron; its place is its uid. */
export interface YumaInput {
  /** Whole amounts in any unit, below 2^63 together. */
  readonly stake: readonly (bigint | number)[];
  /** Stored weights: row i holds pairs [uid, u16] of what i says of others; only ratios within a row count. */
  readonly weights: readonly Row[];
  /** The block in which each last set weights. */
  readonly last_update: readonly number[];
  /** The block in which each uid was registered. */
  readonly registered: readonly number[];
  /** Who may judge in this epoch: the last epoch's result. */
  readonly validator_permits: readonly boolean[];
  /** The last epoch's bonds: rows of [uid, u16]. */
  readonly bonds: readonly Row[];
  /** What this epoch pays, in whole units below 2^64. */
  readonly emission: bigint | number;
  readonly block: number;
  /** Blocks from epoch to epoch. */
  readonly tempo: number;
  readonly parameters: YumaParameters;
}

/** Limits: a uid is a u16; amounts are those of the field's number formats. */
const MAX_NEURONS = 65_536;
const MAX_U16 = 65_535;
const MAX_STAKE = 2n ** 63n;
const MAX_EMISSION = 2n ** 64n;
const MILLION = 1_000_000;
const MAX_STEEPNESS = 32_767;
const LISTS = ['stake', 'weights', 'last_update', 'registered', 'validator_permits', 'bonds'] as const;

/** Says what is wrong with an input, or null: then the epoch is defined. */
export function refusalOfInput(input: YumaInput): Refusal | null {
  const problem = problemOf(input);
  return problem === null ? null : refuse('bad-epoch', `epoch: ${problem}`);
}

function problemOf(input: YumaInput): string | null {
  if (typeof input !== 'object' || input === null) return `expected an object, got ${String(input)}`;
  for (const name of LISTS) {
    const list: unknown = input[name];
    if (!Array.isArray(list)) return `${name}: expected a list, got ${typeof list}`;
    if (list.length !== input.stake.length) {
      return `${name}: expected ${input.stake.length} entries as in stake, got ${list.length}`;
    }
  }
  if (input.stake.length > MAX_NEURONS) return `expected at most ${MAX_NEURONS} neurons, got ${input.stake.length}`;
  return (
    problemOfNumbers(input) ??
    problemOfRows('weights', input.weights) ??
    problemOfRows('bonds', input.bonds) ??
    problemOfParameters(input.parameters, input.stake.length)
  );
}

function problemOfNumbers(input: YumaInput): string | null {
  for (const name of ['last_update', 'registered'] as const) {
    const wrong = input[name].findIndex((value) => !isWhole(value));
    if (wrong >= 0) return expected(`${name}[${wrong}]`, 'a whole number from 0', input[name][wrong]);
  }
  for (const permit of input.validator_permits) {
    if (typeof permit !== 'boolean') return expected('validator_permits', 'booleans', permit);
  }
  let total = 0n;
  for (const amount of input.stake) {
    if (!isAmount(amount, MAX_STAKE)) return expected('stake', 'whole amounts from 0', amount);
    total += BigInt(amount);
  }
  if (total >= MAX_STAKE) return expected('stake', 'less than 2^63 together', total);
  if (!isAmount(input.emission, MAX_EMISSION)) return expected('emission', 'a whole amount below 2^64', input.emission);
  for (const name of ['block', 'tempo'] as const) {
    if (!isWhole(input[name])) return expected(name, 'a whole number from 0', input[name]);
  }
  return null;
}

function problemOfRows(name: string, rows: readonly Row[]): string | null {
  const size = rows.length;
  const seen = new Int32Array(size).fill(-1);
  for (let i = 0; i < size; i++) {
    const row = rows[i];
    if (!Array.isArray(row)) return expected(`${name}[${i}]`, 'a list of [uid, u16]', row);
    for (const cell of row) {
      if (!Array.isArray(cell) || cell.length !== 2) return expected(`${name}[${i}]`, 'pairs of [uid, u16]', cell);
      if (!isWhole(cell[0], size - 1)) return expected(`${name}[${i}]`, `uids below ${size}`, cell[0]);
      if (!isWhole(cell[1], MAX_U16)) return expected(`${name}[${i}]`, 'values from 0 to 65535', cell[1]);
      if (seen[cell[0]] === i) return `${name}[${i}]: uid ${cell[0]} comes twice`;
      seen[cell[0]] = i;
    }
  }
  return null;
}

/** What is wrong with the parameters of a network of `size` neurons, or null. */
export function problemOfParameters(parameters: YumaParameters, size: number): string | null {
  const { liquid_alpha: liquid, owner_uid } = parameters ?? {};
  if (typeof liquid !== 'object' || liquid === null) return expected('parameters.liquid_alpha', 'an object', liquid);
  for (const name of ['kappa', 'bonds_penalty'] as const) {
    if (!isWhole(parameters[name], MAX_U16)) return expected(name, '0 to 65535', parameters[name]);
  }
  for (const name of ['lo', 'hi'] as const) {
    if (!isWhole(liquid[name], MAX_U16)) return expected(`liquid_alpha.${name}`, '0 to 65535', liquid[name]);
  }
  if (liquid.lo > liquid.hi) return expected('liquid_alpha.lo', `at most hi ${liquid.hi}`, liquid.lo);
  if (!isWhole(Math.abs(liquid.steepness), MAX_STEEPNESS)) {
    return expected('liquid_alpha.steepness', '-32767 to 32767', liquid.steepness);
  }
  if (typeof parameters.yuma3 !== 'boolean') return expected('yuma3', 'a boolean', parameters.yuma3);
  if (typeof liquid.enabled !== 'boolean') return expected('liquid_alpha.enabled', 'a boolean', liquid.enabled);
  if (!isWhole(parameters.bonds_moving_average, MILLION)) {
    return expected('bonds_moving_average', '0 to 1000000', parameters.bonds_moving_average);
  }
  for (const name of ['max_validators', 'activity_cutoff_factor'] as const) {
    if (!isWhole(parameters[name])) return expected(name, 'a whole number from 0', parameters[name]);
  }
  if (!isAmount(parameters.min_stake, MAX_EMISSION)) {
    return expected('min_stake', 'a whole amount from 0', parameters.min_stake);
  }
  if (owner_uid !== null && !isWhole(owner_uid, size - 1))
    return expected('owner_uid', `null or a uid below ${size}`, owner_uid);
  return null;
}

function isWhole(value: unknown, most: number = Number.MAX_SAFE_INTEGER): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most;
}

function isAmount(value: unknown, limit: bigint): value is bigint | number {
  return typeof value === 'bigint' ? value >= 0n && value < limit : isWhole(value) && BigInt(value) < limit;
}

function expected(where: string, what: string, got: unknown): string {
  return `${where}: expected ${what}, got ${String(got)}`;
}
