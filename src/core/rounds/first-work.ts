// How much a worker may claim while it has little to lose. Many validators re-execute a newcomer's work and the whole run waits for them, so
// its first work is short, and later work grows with what the worker has earned and could lose.

import type { Rules } from '../rules.ts';
import { withheldAmount } from '../shares/balances.ts';
import type { PeerState, RunState } from '../state.ts';

/** Whether a worker's record, its merged submissions since the last refused one, is so short that every judge re-executes its work. */
export const lacksRecord = (
  { consecutive_valid }: Pick<PeerState, 'consecutive_valid'>,
  { probation }: Pick<Rules, 'probation'>,
): boolean => consecutive_valid < Math.max(1, probation);

/** Called when a round opens and validators are seated: without any, nobody waits for a judge, and nobody can get a record. */
export function boundFirstWork(run: RunState): void {
  run.first_amount = run.eligible.length > 0 ? (run.rules.first_amount ?? null) : null;
}

/**
 * How much a worker may claim in the open round; null for any amount. Without a record it may claim one first work; with one, a first
 * work plus as much as it can lose. So a claim at most doubles all that the worker has earned, and a lie on a small bond is short, however
 * rarely lies are found. Where the rules withhold nothing there is no bond that could grow. Records, bonds and rules change in merges only,
 * so the bound that a worker hears when the round opens, or when it joins, still holds when it submits.
 */
export function mostAmount(run: RunState, worker: string): number | null {
  const { first_amount, rules } = run;
  if (first_amount === null) return null;
  const peer = run.peers.get(worker);
  if (!peer || lacksRecord(peer, rules)) return first_amount;
  return rules.withheld_rounds > 0 ? first_amount + withheldAmount(run, worker) : null;
}
