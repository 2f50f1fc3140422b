// Validators' bonds to those they judged well early, and the dividends that follow: both variants of Yuma consensus.
import { exp } from './fixed-exp.ts';
import { div, type Fixed, fromU16, mul, normalised, ONE, toU16 } from './fixed-point.ts';
import {
  columnNormalised,
  columnUpscaled,
  mapCells,
  type Row,
  type SparseMatrix,
  timesVector,
  zipCells,
} from './sparse-matrix.ts';
import type { YumaParameters } from './yuma-input.ts';

/** What bonds are made from. */
export interface BondInputs {
  /** W (rows sum to 1) and Ŵ (clipped to the consensus). */
  readonly weights: SparseMatrix;
  readonly clipped: SparseMatrix;
  /** Stored bonds in u16, without those to whom registered since. */
  readonly old_bonds: SparseMatrix;
  readonly active_stake: readonly Fixed[];
  readonly consensus: readonly Fixed[];
  readonly incentives: readonly Fixed[];
}

/** The new bonds as they are stored, in u16, and each validator's share of the dividends (sum 1, or all 0). */
export interface BondResult {
  readonly bonds: Row[];
  readonly dividends: Fixed[];
}

/** New bonds and dividends by the variant that the parameters name. */
export function bondsAndDividends(inputs: BondInputs, parameters: YumaParameters): BondResult {
  const { weights, clipped } = inputs;
  // Wb = W + penalty · (Ŵ − W): what exceeds the consensus buys no bonds.
  const penalty = fromU16(parameters.bonds_penalty);
  const bought = zipCells(weights, clipped, (said, kept) => said + mul(penalty, kept - said));
  return parameters.yuma3 ? relativeBonds(bought, inputs, parameters) : purchasedBonds(bought, inputs, parameters);
}

/** "Yuma 2": bonds are shares of each worker, bought with stake; their mean over time is kept upscaled by columns. */
function purchasedBonds(bought: SparseMatrix, inputs: BondInputs, parameters: YumaParameters): BondResult {
  const { active_stake, incentives } = inputs;
  const old = columnNormalised(inputs.old_bonds);
  const added = columnNormalised(mapCells(bought, (weight, row) => mul(active_stake[row], weight)));
  const bonds = columnNormalised(movingAverage(added, old, smoothing(parameters)));
  const dividends = normalised(timesVector(bonds, incentives));
  return { bonds: storedBonds(columnUpscaled(bonds)), dividends };
}

/** "Yuma 3": bonds follow each validator's own weights at a pace of their own; stake counts when dividends are shared out. */
function relativeBonds(bought: SparseMatrix, inputs: BondInputs, parameters: YumaParameters): BondResult {
  const { active_stake, consensus, incentives } = inputs;
  const old = mapCells(inputs.old_bonds, fromU16);
  const liquid = parameters.liquid_alpha.enabled && consensus.some((share) => share !== 0);
  const bonds = liquid
    ? liquidAverage(bought, old, consensus, parameters)
    : movingAverage(bought, old, smoothing(parameters));
  const earned = timesVector(columnNormalised(bonds), incentives);
  const dividends = normalised(earned.map((share, i) => mul(share, active_stake[i])));
  return { bonds: storedBonds(bonds), dividends };
}

/** α · new + (1 − α) · old. */
function movingAverage(added: SparseMatrix, old: SparseMatrix, alpha: Fixed): SparseMatrix {
  return zipCells(added, old, (value, before) => mul(alpha, value) + mul(ONE - alpha, before));
}

/** α = 1 − bonds_moving_average / 10^6, the quotient cut to 32 fractional bits first. */
function smoothing({ bonds_moving_average }: YumaParameters): Fixed {
  return ONE - div(bonds_moving_average, 1_000_000);
}

/** The moving average with an α for every cell; a bond grows to 1 at most. */
function liquidAverage(
  bought: SparseMatrix,
  old: SparseMatrix,
  consensus: readonly Fixed[],
  parameters: YumaParameters,
): SparseMatrix {
  const alphaOf = liquidAlpha(parameters);
  return zipCells(bought, old, (weight, before, _, column) => {
    const distance = weight >= before ? weight - consensus[column] : before - weight;
    const alpha = alphaOf(Math.max(0, Math.min(ONE, distance)));
    const left = mul(ONE - alpha, before);
    return left + Math.min(mul(alpha, weight), ONE - left);
  });
}

/**
 * α of a distance d: lo + (hi − lo) / (1 + e^(−steepness/100 · (d − 0.5))), held within [lo, hi]. Remembers what it has computed:
 * many cells share a distance.
 */
function liquidAlpha({ liquid_alpha }: YumaParameters): (distance: Fixed) => Fixed {
  const low = fromU16(liquid_alpha.lo);
  const high = fromU16(liquid_alpha.hi);
  const steepness = (BigInt(liquid_alpha.steepness) * BigInt(ONE)) / 100n;
  const known = new Map<Fixed, Fixed>();
  return (distance) => {
    let alpha = known.get(distance);
    if (alpha === undefined) {
      const exponent = Number((-steepness * BigInt(distance - ONE / 2)) >> 32n);
      const share = Number((1n << 64n) / ((1n << 32n) + exp(exponent)));
      alpha = Math.max(low, Math.min(high, low + mul(share, high - low)));
      known.set(distance, alpha);
    }
    return alpha;
  };
}

/** Rows of [uid, u16], without zeros. */
function storedBonds({ size, starts, columns, values }: SparseMatrix): Row[] {
  return Array.from({ length: size }, (_, row) => {
    const cells: [number, number][] = [];
    for (let k = starts[row]; k < starts[row + 1]; k++) {
      const value = toU16(values[k]);
      if (value > 0) cells.push([columns[k], value]);
    }
    return cells;
  });
}
