// Yuma consensus, as far as pay needs it: which weight of each worker the validators' stake agrees on, and what each validator earns by it.
// Consensus, dividends and bonds equal those of "Yuma 3" with the field's defaults, to the last bit (testing/yuma-reference.ts).
import { div, type Fixed, fromU16, mul, normalised, ONE, sharesOf, sum, toU16, U16_MAX } from './fixed-point.ts';

/** A validator and the stake behind its weights. */
export interface StakedValidator {
  readonly id: string;
  readonly stake: bigint;
}

/** Bonds between rounds: for each validator its pairs of worker and u16, all sorted by id. Plain data, for JSON and CBOR. */
export type RoundBonds = readonly (readonly [
  validator: string,
  bonds: readonly (readonly [worker: string, bond: number])[],
])[];

/** The result of a round, in units of 2^-32. */
export interface RoundConsensus {
  /** For each worker the largest weight, as a part of a validator's row, that enough stake supports. */
  readonly consensus: ReadonlyMap<string, Fixed>;
  /** For each validator its share of the pay for judging: together 1 less rounding, or all 0 where no work has consensus. */
  readonly dividends: ReadonlyMap<string, Fixed>;
  readonly bonds: RoundBonds;
}

/** κ: the part of the stake that must give at least a weight. Just less than half, so that an exact half suffices. */
const KAPPA = BigInt(fromU16(32_767));
/** α: the part of a bond that follows this round's weight; the rest stays from the last round. */
const FRESH: Fixed = ONE - div(900_000, 1_000_000);

/**
 * One round. `scores` holds for each validator whole numbers for workers; only their ratios count. A missing worker has 0, and a validator's
 * score for itself is ignored. `bonds` is what the last round returned; bonds of or to an id that is not listed are forgotten.
 *
 * @param validators those who gave weights, in order of id; the sum of their stakes is below 2^63
 * @param workers in order of id: those who are scored, and those whose bonds still count
 */
export function consensusOfRound(
  validators: readonly StakedValidator[],
  workers: readonly string[],
  scores: ReadonlyMap<string, ReadonlyMap<string, number>>,
  bonds: RoundBonds,
): RoundConsensus {
  const staked = sharesOf(validators.map(({ stake }) => stake));
  const active = normalised(staked);
  const voices = normalised(active).map(BigInt);
  const weights = validators.map(({ id }) => {
    const row = scores.get(id);
    return normalised(storedWeights(workers.map((worker) => (worker === id ? 0 : (row?.get(worker) ?? 0)))));
  });
  const agreed = (w: number): Fixed =>
    largestReached(
      weights.map((row, v) => ({ value: row[w], stake: voices[v] })),
      KAPPA,
    );
  const consensus = workers.map((_, w) => agreed(w));

  // Weight above the consensus earns its worker nothing, and its validator no bond.
  const clipped = weights.map((row) => row.map((weight, w) => Math.min(weight, consensus[w])));
  const incentives = normalised(workers.map((_, w) => sum(clipped.map((row, v) => mul(active[v], row[w])))));
  const before = new Map(bonds);
  const held = clipped.map((row, v) => {
    const old = new Map(before.get(validators[v].id));
    return row.map((weight, w) => mul(FRESH, weight) + mul(ONE - FRESH, fromU16(old.get(workers[w]) ?? 0)));
  });
  const all = workers.map((_, w) => sum(held.map((row) => row[w])));
  const earned = held.map((row, v) => mul(sum(row.map((bond, w) => mul(div(bond, all[w]), incentives[w]))), active[v]));
  const dividends = normalised(earned);
  return {
    consensus: new Map(workers.map((id, w) => [id, consensus[w]])),
    dividends: new Map(validators.map(({ id }, v) => [id, dividends[v]])),
    bonds: validators.flatMap(({ id }, v) => {
      const kept = held[v].map((bond, w) => [workers[w], toU16(bond)] as const).filter(([, bond]) => bond > 0);
      return staked[v] === 0 || kept.length === 0 ? [] : [[id, kept] as const];
    }),
  };
}

/** The largest value that enough stake supports: a median weighted by stake. 0 where none does. */
export function largestReached(
  values: readonly { readonly value: number; readonly stake: bigint }[],
  least: bigint,
): number {
  let reached = 0n;
  for (const { value, stake } of values.toSorted((a, b) => b.value - a.value)) {
    reached += stake;
    if (reached >= least) return value;
  }
  return 0;
}

/** Whole scores as u16: the largest becomes 65535, the others in proportion, rounded to the nearest (halves up). All zeros stay zeros. */
function storedWeights(scores: readonly number[]): number[] {
  const largest = scores.reduce((most, score) => Math.max(most, score), 0);
  if (largest === 0) return scores.map(() => 0);
  // floor((2 · score · 65535 + largest) / (2 · largest)). Below 2^53 the floor of the float64 quotient is exact.
  const fits = largest * (2 * U16_MAX + 1) <= Number.MAX_SAFE_INTEGER;
  return scores.map((score) =>
    fits
      ? Math.floor((2 * score * U16_MAX + largest) / (2 * largest))
      : Number((2n * BigInt(score) * BigInt(U16_MAX) + BigInt(largest)) / (2n * BigInt(largest))),
  );
}
