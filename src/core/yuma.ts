// Yuma consensus as Bittensor's subtensor computes it (June 2026): stake and weights in, who is paid how much out. Every bit is defined.
import { div, type Fixed, fromU16, normalised, portion, sharesOf, sum, toU16, U16_MAX } from './fixed-point.ts';
import type { Refusal } from './refusal.ts';
import { fromRows, mapCells, type Row, rowNormalised, rowSums, transposedTimes } from './sparse-matrix.ts';
import { bondsAndDividends } from './yuma-bonds.ts';
import { refusalOfInput, type YumaInput, type YumaParameters } from './yuma-input.ts';
import { consensusOf } from './yuma-median.ts';

/** What an epoch decides. Every list has one entry a neuron; shares are u16 of 65535, rounded down. */
export interface YumaResult {
  /** Who has set weights lately. */
  readonly active: boolean[];
  /** Who may judge in the next epoch. */
  readonly validator_permits: boolean[];
  /** Each neuron's consensus: the weight that enough stake stands behind. */
  readonly consensus: number[];
  /** Shares of the workers' pay; the ranks, as they are normalised, are the same. */
  readonly incentives: number[];
  readonly ranks: number[];
  /** What is left of a neuron's rank when weights are clipped to the consensus. */
  readonly trust: number[];
  /** What is left of a validator's weights when they are clipped. */
  readonly validator_trust: number[];
  /** Shares of the validators' pay. */
  readonly dividends: number[];
  /** Rows of [uid, u16] for the next epoch; empty for whoever has lost the permit. */
  readonly bonds: Row[];
  /** Whole units, each rounded down: for work, for judging, and both together (rounded once). */
  readonly server_emission: bigint[];
  readonly validator_emission: bigint[];
  readonly emission: bigint[];
  /** The same shares before they became u16, in units of 2^-32. */
  readonly exact: {
    readonly stake: Fixed[];
    readonly active_stake: Fixed[];
    readonly consensus: Fixed[];
    readonly incentives: Fixed[];
    readonly validator_trust: Fixed[];
    readonly dividends: Fixed[];
  };
}

/**
 * One epoch of Yuma consensus, a pure function of plain data.
 *
 *     const result = yumaEpoch({
 *       stake: [600, 400, 0, 0],                     // uids 0 and 1 validate, 2 and 3 work
 *       weights: [[[2, 65535], [3, 32768]], [[2, 65535]], [], []],
 *       last_update: [90, 90, 0, 0], registered: [0, 0, 0, 0], validator_permits: [true, true, false, false],
 *       bonds: [[], [], [], []], emission: 1_000_000_000n, block: 100, tempo: 360, parameters: DEFAULT_YUMA_PARAMETERS,
 *     });
 *     if ('code' in result) throw new Error(result.message);   // only an input out of its bounds is refused
 *     result.emission;                                         // bigint[4]
 *
 * Weights are counted from those who hold a permit (`validator_permits`, from the epoch before) and said something within the cutoff,
 * max(1, activity_cutoff_factor · tempo / 1000) blocks. Nobody but the owner weighs itself; a weight for a uid that was registered
 * in or after the block of `last_update` is void, and so is a bond to a uid registered within the last tempo.
 * A malformed input is a Refusal with code 'bad-epoch' that names what was expected and what came; nothing throws. Without neurons all
 * lists are empty. Where nobody earned anything, active stake earns everything, as validators; where there is none, all stake.
 */
export function yumaEpoch(input: YumaInput): YumaResult | Refusal {
  const refusal = refusalOfInput(input);
  if (refusal) return refusal;
  const { last_update, registered, validator_permits, block, tempo, parameters } = input;
  const owner = parameters.owner_uid;
  const active = last_update.map((update) => update + activityCutoff(input) >= block);
  const stake = sharesOf(countedStake(input));
  const active_stake = normalised(stake.map((share, i) => (active[i] && validator_permits[i] ? share : 0)));

  const weights = rowNormalised(
    mapCells(fromRows(input.weights), (weight, i, j) => {
      const valid = validator_permits[i] && (i !== j || i === owner) && last_update[i] > registered[j];
      return valid ? weight : 0;
    }),
  );
  const consensus = consensusOf(weights, active_stake, fromU16(parameters.kappa));
  const clipped = mapCells(weights, (weight, _, j) => Math.min(weight, consensus[j]));
  const unclipped_ranks = transposedTimes(weights, active_stake);
  const ranks = transposedTimes(clipped, active_stake);
  const incentives = normalised(ranks);

  const last_tempo = Math.max(0, block - tempo);
  const old_bonds = mapCells(fromRows(input.bonds), (bond, _, j) => (last_tempo <= registered[j] ? 0 : bond));
  const made = bondsAndDividends({ weights, clipped, old_bonds, active_stake, consensus, incentives }, parameters);
  const permits = nextPermits(stake, parameters);
  const stored = permits.map((permit, i) => {
    if (permit) return made.bonds[i];
    return validator_permits[i] ? [] : input.bonds[i].map(([uid, bond]) => [uid, bond] as const);
  });

  const validator_trust = rowSums(clipped);
  const ranked = incentives.map(toU16);
  return {
    active,
    validator_permits: permits,
    consensus: consensus.map(toU16),
    incentives: ranked,
    ranks: [...ranked],
    trust: ranks.map((rank, j) => toU16(div(rank, unclipped_ranks[j]))),
    validator_trust: validator_trust.map(toU16),
    dividends: made.dividends.map(toU16),
    bonds: stored,
    ...emissionsOf(BigInt(input.emission), incentives, made.dividends, active_stake, stake),
    exact: { stake, active_stake, consensus, incentives, validator_trust, dividends: made.dividends },
  };
}

/** Blocks after which whoever said nothing is inactive: 5000 at the defaults and a tempo of 360. */
function activityCutoff({ tempo, parameters }: YumaInput): number {
  return Math.max(1, Number((BigInt(parameters.activity_cutoff_factor) * BigInt(tempo)) / 1000n));
}

/** Stake that counts: at least the minimum, or the owner's. */
function countedStake({ stake, parameters }: YumaInput): bigint[] {
  const least = BigInt(parameters.min_stake);
  return stake.map(BigInt).map((amount, i) => (amount >= least || i === parameters.owner_uid ? amount : 0n));
}

/** The largest stakes above 0, and the owner. Of equal stakes the later uid goes first (a stable ascending sort, cut in front). */
function nextPermits(stake: readonly Fixed[], { max_validators, owner_uid }: YumaParameters): boolean[] {
  const permits = stake.map((share) => share > 0);
  const ascending = stake.map((_, i) => i).sort((a, b) => stake[a] - stake[b]);
  for (const i of ascending.slice(0, Math.max(0, stake.length - max_validators))) permits[i] = false;
  if (owner_uid !== null) permits[owner_uid] = true;
  return permits;
}

/** The epoch's pay: shares of incentives and dividends together; active stake where both are 0, all stake where that is 0 as well. */
function emissionsOf(
  emission: bigint,
  incentives: readonly Fixed[],
  dividends: readonly Fixed[],
  active_stake: readonly Fixed[],
  stake: readonly Fixed[],
): Pick<YumaResult, 'server_emission' | 'validator_emission' | 'emission'> {
  const total = sum(incentives) + sum(dividends);
  const fallback = active_stake.some((share) => share > 0) ? active_stake : stake;
  const pay = (shares: readonly Fixed[]): bigint[] => shares.map((share) => portion(share, emission));
  if (total === 0) {
    return { server_emission: pay(incentives), validator_emission: pay(fallback), emission: pay(fallback) };
  }
  return {
    server_emission: pay(incentives.map((share) => div(share, total))),
    validator_emission: pay(dividends.map((share) => div(share, total))),
    emission: pay(incentives.map((share, i) => div(share + dividends[i], total))),
  };
}

/**
 * Integer scores as weights are stored: the largest becomes 65535, the others in proportion, rounded to the nearest (halves up).
 * All zeros stay zeros. Expects integers from 0.
 */
export function storedWeights(scores: readonly number[]): number[] {
  const largest = scores.reduce((most, score) => Math.max(most, score), 0);
  if (largest === 0) return scores.map(() => 0);
  // floor((2 · score · 65535 + largest) / (2 · largest)); below 2^53 a float64's quotient, cut, is exact.
  const fits = largest * (2 * U16_MAX + 1) <= Number.MAX_SAFE_INTEGER;
  return scores.map((score) =>
    fits
      ? Math.floor((2 * score * U16_MAX + largest) / (2 * largest))
      : Number((2n * BigInt(score) * BigInt(U16_MAX) + BigInt(largest)) / (2n * BigInt(largest))),
  );
}
