// What a merged round pays: verdicts become weights, Yuma consensus turns weights into parts, accounts get whole shares by largest remainder,
// and devices caught cheating lose what was withheld.

import { acceptedSubmissions } from '../rounds/judging.ts';
import { verdictStakes } from '../rounds/verdict-stakes.ts';
import type { NetworkState, PeerState, RunState, Withheld } from '../state.ts';
import { accountOf } from '../state.ts';
import { isWithheld, sharesAtHand } from './balances.ts';
import { consensusOfRound, largestReached, type RoundBonds } from './consensus.ts';
import { royaltyOf } from './lineage.ts';
import { emissionOf, type PayClaim, payRound, type RoundPayout } from './shares.ts';
import { forfeitStake } from './stake.ts';

/** What the open round pays if it is merged now, and the bonds that validators then have. */
export interface RoundPay extends RoundPayout {
  readonly workers: readonly PayClaim[];
  readonly validators: readonly PayClaim[];
  readonly bonds: RoundBonds;
}

/**
 * The weights that a round's verdicts give: for each validator that revealed all verdicts that it sealed (first judging included), the amount
 * that it vouches for of each worker. Where a validator was not drawn, the median of those who were stands in, so that it neither pulls
 * the consensus nor is paid more.
 */
export function weightsOf(state: NetworkState, run: RunState) {
  const submissions = [...run.submissions.values()];
  const unshown = new Set(
    submissions.flatMap(({ seals, verdicts, first, duties }) => [
      ...[...seals.keys()].filter((id) => !verdicts.has(id)),
      ...[...duties.keys()].filter((id) => first?.has(id) === false),
    ]),
  );
  const judges = [...new Set(submissions.flatMap(({ verdicts }) => [...verdicts.keys()]))]
    .filter((id) => !unshown.has(id))
    .sort();
  const stakes = verdictStakes(state, run, judges);
  const validators = judges.map((id) => ({ id, stake: stakes.get(id)! }));
  const scores = new Map(judges.map((id) => [id, new Map<string, number>()]));
  for (const { worker, verdicts } of submissions) {
    const given = [...verdicts].flatMap(([id, { weight: value }]) => {
      const stake = stakes.get(id);
      return stake === undefined ? [] : [{ value, stake }];
    });
    const all = given.reduce((sum, { stake }) => sum + stake, 0n);
    // The largest weight that at least half of the stake supports.
    const middle = largestReached(given, (all + 1n) / 2n);
    for (const id of judges) scores.get(id)!.set(worker, verdicts.get(id)?.weight ?? middle);
  }
  // A worker with a bond is listed while the bond fades, also in rounds without its work.
  const bonded = run.bonds.flatMap(([, bonds]) => bonds.map(([worker]) => worker));
  const workers = [...new Set([...submissions.map(({ worker }) => worker), ...bonded])].sort();
  return { validators, workers, scores };
}

/** What the open round pays if it is merged now. @param accepted the work that the merge takes */
export function roundPayout(
  state: NetworkState,
  run: RunState,
  accepted: ReturnType<typeof acceptedSubmissions> = acceptedSubmissions(state, run),
): RoundPay {
  const { validators, workers, scores } = weightsOf(state, run);
  // Workers are paid by the consensus weight itself, because a minority that withholds its weights could lower the incentive.
  const { consensus: agreed, dividends, bonds } = consensusOfRound(validators, workers, scores, run.bonds);
  const verified = new Set(accepted.filter((entry) => entry.verified).map(({ submission }) => submission.worker));
  const claims = (parts: ReadonlyMap<string, number>): PayClaim[] =>
    [...parts]
      .filter(([, weight]) => weight > 0)
      .map(([id, weight]) => ({ id, weight, account: accountOf(state, id) }));
  const paid = { workers: claims(agreed).filter(({ id }) => verified.has(id)), validators: claims(dividends) };
  const owner = accountOf(state, run.owner);
  const royalty = royaltyOf(run);
  return { ...payRound(run.rules.emission, run.round, owner, paid.workers, paid.validators, royalty), ...paid, bonds };
}

/** Pays the round that is being merged, and takes from the devices caught in it. Call it before the round is removed. */
export function applyPayout(
  state: NetworkState,
  run: RunState,
  accepted: ReturnType<typeof acceptedSubmissions>,
): void {
  const { payouts, unearned, bonds } = roundPayout(state, run, accepted);
  run.emitted_shares += emissionOf(run.rules.emission, run.round);
  run.unearned_shares += unearned;
  run.bonds = bonds;
  const amounts = new Map([...run.submissions.values()].map(({ worker, body }) => [worker, body.amount]));
  for (const { id, account, shares, part } of payouts) {
    run.shares.set(account, (run.shares.get(account) ?? 0) + shares);
    if (part === 'owner' || part === 'ancestors' || shares === 0) continue;
    const kept = (run.withheld.get(id) ?? []).filter(({ round }) => isWithheld(run, round));
    run.withheld.set(id, [
      ...kept,
      { round: run.round, account, shares, amount: part === 'workers' ? amounts.get(id)! : 0 },
    ]);
  }
}

/** Takes from a device what it earned in the last round that paid it, as far as that is still withheld. The shares go back to the run. */
export function forfeitLast(run: RunState, peer: PeerState): void {
  const last = run.withheld.get(peer.id)?.at(-1);
  if (!last || !isWithheld(run, last.round)) return;
  run.withheld.get(peer.id)!.pop();
  take(run, peer, last);
}

/** Shares that were locked or settled while they were free cannot be taken a second time. */
function take(run: RunState, peer: PeerState, { round, account, shares, amount }: Withheld): Withheld {
  const lost = Math.min(shares, sharesAtHand(run, account));
  run.shares.set(account, run.shares.get(account)! - lost);
  run.unearned_shares += lost;
  peer.forfeited_shares += lost;
  return { round, account, shares: lost, amount };
}

/**
 * Takes from a device everything that is still withheld, and the shares locked behind it. The shares go back to the run.
 * @returns what was taken, oldest first
 */
export function forfeit(run: RunState, peer: PeerState): Withheld[] {
  const locked = forfeitStake(run, peer);
  const earned = (run.withheld.get(peer.id) ?? []).filter(({ round }) => isWithheld(run, round));
  const taken = earned.map((one) => take(run, peer, one));
  run.withheld.delete(peer.id);
  return [...taken, ...locked].filter(({ shares }) => shares > 0);
}
