// How a round's shares are divided: whole numbers only, by largest remainder (Hamilton's method), so that the sum is exact.

/** A claim to a part: any whole number from 0. */
export interface Claimant {
  readonly id: string;
  readonly weight: number;
}

/** A device's claim, and the account that it earns for. No device appears twice in one part. */
export interface PayClaim extends Claimant {
  readonly account: string;
}

/**
 * Divides `total` in proportion to the weights. The parts are whole numbers from 0 and add up to `total` exactly.
 * The remainder of rounding goes to the largest fractions; among equal ones to the smallest id, so that order does not matter.
 * If nobody has a weight, the result is empty and the caller still holds the total.
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

/** How many shares a run promises per merged round, halved every so many rounds (0: never). */
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

/** Which part of a round's shares: `ancestors` are the holders of the model that the run started from. */
export type PayPart = 'ancestors' | 'owner' | 'workers' | 'validators';
export const PAY_PARTS: readonly PayPart[] = ['ancestors', 'owner', 'workers', 'validators'];

/** The part of every round that flows to an ancestor's holders, and their claims. */
export interface Royalty {
  readonly permille: number;
  readonly holders: readonly PayClaim[];
}
const NO_ROYALTY: Royalty = { permille: 0, holders: [] };

/** What one device, the owner or an ancestor's holder earned in a round. */
export interface Payout {
  readonly part: PayPart;
  readonly id: string;
  /** The account that it is paid to. */
  readonly account: string;
  readonly shares: number;
}

/** What one merged round pays, and what nobody earned. */
export interface RoundPayout {
  readonly payouts: readonly Payout[];
  readonly unearned: number;
}

/** A round's shares before they are divided among individuals: first the ancestors' part, then the rest by the rules. */
export function partsOf(emission: Emission, round: number, royalty_permille = 0): Record<PayPart, number> {
  const total = emissionOf(emission, round);
  const whole = divide(total, [
    { id: 'ancestors', weight: royalty_permille },
    { id: 'run', weight: 1000 - royalty_permille },
  ]);
  const parts = divide(whole.get('run') ?? 0, [
    { id: 'owner', weight: emission.owner_permille },
    { id: 'workers', weight: emission.workers_permille },
    { id: 'validators', weight: emission.validators_permille },
  ]);
  const part = (name: PayPart): number => parts.get(name) ?? 0;
  return {
    ancestors: whole.get('ancestors') ?? 0,
    owner: part('owner'),
    workers: part('workers'),
    validators: part('validators'),
  };
}

/**
 * Pays one round: the ancestors' part to their holders, the owner's part to the owner, the other parts among the devices with a claim, each
 * for its account. A part that nobody earned stays with the run.
 */
export function payRound(
  emission: Emission,
  round: number,
  owner: string,
  workers: readonly PayClaim[],
  validators: readonly PayClaim[],
  royalty: Royalty = NO_ROYALTY,
): RoundPayout {
  const parts = partsOf(emission, round, royalty.permille);
  const claims = { ancestors: royalty.holders, owner: [{ id: owner, account: owner, weight: 1 }], workers, validators };
  const payouts: Payout[] = [];
  for (const part of PAY_PARTS) {
    const shares = divide(parts[part], claims[part]);
    for (const { id, account } of claims[part]) payouts.push({ part, id, account, shares: shares.get(id) ?? 0 });
  }
  const paid = payouts.reduce((sum, { shares }) => sum + shares, 0);
  return { payouts, unearned: emissionOf(emission, round) - paid };
}
