// The effect of a cartel, compared with the same run without it: means over histories with their 95 % intervals, and the bounds.
import type { Played } from '../simulation/cartel-watch.ts';
import { type Interval, interval95 } from './report.ts';

export interface Figures {
  readonly row: string;
  readonly validators: number;
  readonly seconds: Interval;
  /** The length of a round, relative to a run without liars. */
  readonly times: Interval;
  /** The pay of a lie, relative to an honest submission. */
  readonly pay_for_lies: Interval;
  /** The part of honest work that was not accepted. */
  readonly refused: Interval;
  /** The shares of honest workers, relative to a run without liars. */
  readonly kept: Interval;
  /** The part of rounds in which something was appealed. */
  readonly appealed: Interval;
}

export const BOUNDS = { times: 1.3, pay_for_lies: 0.05, refused: 0.005, kept: 0.98 } as const;

/** Histories of the same seed are compared with each other. */
export function figuresOf(
  row: string,
  validators: number,
  played: readonly Played[],
  base: readonly Played[],
): Figures {
  const of = (value: (own: Played, without: Played) => number): Interval =>
    interval95(played.map((own, i) => value(own, base[i])));
  return {
    ...{ row, validators },
    seconds: of(({ round_ms }) => round_ms / 1000),
    times: of((own, without) => own.round_ms / without.round_ms),
    pay_for_lies: of(payForLies),
    refused: of(({ honest_refused, honest_works }) => honest_refused / honest_works),
    kept: of((own, without) => own.honest_shares / own.rounds / fairShares(own, without)),
    appealed: of(({ appealed_rounds, rounds }) => appealed_rounds / rounds),
  };
}

/** The shares that an honest worker would get in each round if liars were paid only for their honest work. */
function fairShares({ honest_works, truths_accepted }: Played, without: Played): number {
  return (without.honest_shares / without.rounds) * (honest_works / (honest_works + truths_accepted));
}

/** The liars' shares beyond the pay of their honest work, for each lie: below 0 if they lost more than their lies earned. */
function payForLies({ honest_shares, lying_shares, lies, truths_accepted, rounds }: Played): number {
  const a_piece = honest_shares / rounds;
  return lies === 0 ? Number.NaN : (lying_shares - truths_accepted * a_piece) / (lies * a_piece);
}

/** The bounds that a row misses, in words. */
export function missed(figures: Figures): string[] {
  return (['times', 'pay_for_lies', 'refused', 'kept'] as const).flatMap((name) => {
    const { mean } = figures[name];
    const fine = name === 'kept' ? mean >= BOUNDS.kept : !(mean > BOUNDS[name]);
    return fine ? [] : [`${name} is ${mean.toFixed(4)}, the bound ${BOUNDS[name]}`];
  });
}
