// How a round's shares are divided: whole numbers only, by largest remainder (Hamilton's method), so that none vanishes or appears.

/** Somebody's claim to a part: any whole number from 0. */
export interface Claimant {
  readonly id: string;
  readonly weight: number;
}

/**
 * Divides `total` in proportion to the weights. The parts are whole numbers from 0 and add up to `total` exactly.
 * What rounding leaves over goes to the largest remainders; among equal ones to the smallest id, so that order does not matter.
 * Nobody with a weight: an empty result, and the caller still holds the total.
 */
export function divide(total: number, claimants: readonly Claimant[]): Map<string, number> {
  const sum = claimants.reduce((all, { weight }) => all + BigInt(weight), 0n);
  if (sum === 0n) return new Map();
  const parts = claimants
    .filter(({ weight }) => weight > 0)
    .map(({ id, weight }) => {
      const product = BigInt(total) * BigInt(weight);
      return { id, whole: product / sum, remainder: product % sum };
    });
  let left = BigInt(total) - parts.reduce((all, { whole }) => all + whole, 0n);
  parts.sort((a, b) => (a.remainder !== b.remainder ? (a.remainder > b.remainder ? -1 : 1) : a.id < b.id ? -1 : 1));
  const result = new Map<string, number>();
  for (const { id, whole } of parts) {
    const extra = left > 0n ? 1n : 0n;
    left -= extra;
    result.set(id, Number(whole + extra) + (result.get(id) ?? 0));
  }
  return result;
}

/** A run's promise of shares: so many a merged round, halved every so many rounds (0: never). */
export interface Emission {
  readonly shares_per_round: number;
  readonly halving_rounds: number;
  /** Thousandths of each round's shares; together 1000. */
  readonly owner_permille: number;
  readonly workers_permille: number;
  readonly validators_permille: number;
}

/** The shares of the merged round `round`, counted from 0. */
export function emissionOf(emission: Emission, round: number): number {
  if (emission.halving_rounds === 0) return emission.shares_per_round;
  const halvings = Math.floor(round / emission.halving_rounds);
  return halvings > 52 ? 0 : Math.floor(emission.shares_per_round / 2 ** halvings);
}

/** What one merged round pays, and what nobody had earned. */
export interface RoundPayout {
  readonly payouts: Map<string, number>;
  readonly unearned: number;
}

/**
 * Pays one round: the owner's part to the owner, the workers' part by verified tokens, the validators' part by verdicts
 * that count. A part that nobody earned stays with the run.
 */
export function payRound(
  emission: Emission,
  round: number,
  owner: string,
  workers: readonly Claimant[],
  validators: readonly Claimant[],
): RoundPayout {
  const total = emissionOf(emission, round);
  const parts = divide(total, [
    { id: 'owner', weight: emission.owner_permille },
    { id: 'workers', weight: emission.workers_permille },
    { id: 'validators', weight: emission.validators_permille },
  ]);
  const payouts = new Map<string, number>();
  let unearned = total;
  const pay = (part: string, claimants: readonly Claimant[]): void => {
    for (const [id, shares] of divide(parts.get(part) ?? 0, claimants)) {
      payouts.set(id, (payouts.get(id) ?? 0) + shares);
      unearned -= shares;
    }
  };
  pay('owner', [{ id: owner, weight: 1 }]);
  pay('workers', workers);
  pay('validators', validators);
  return { payouts, unearned };
}
