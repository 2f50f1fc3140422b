// What a worker may claim before there is much that it could lose: many repeat its work, and the whole run waits for that, so its first work is
// short, and each further one as long as what it has earned and could lose.

import type { Rules } from '../rules.ts';
import { withheldTokens } from '../shares/balances.ts';
import type { PeerState, RunState } from '../state.ts';

/** Whether a worker has so short a record, of merged submissions since the last one that was refused, that everybody repeats its work. */
export const lacksRecord = (
  { consecutive_valid }: Pick<PeerState, 'consecutive_valid'>,
  { probation }: Pick<Rules, 'probation'>,
): boolean => consecutive_valid < Math.max(1, probation);

/** A round opens, and whoever may judge in it is seated: where nobody is, nobody waits for a judge, nor can anybody get a record. */
export function boundFirstWork(run: RunState): void {
  run.first_tokens = run.eligible.length > 0 ? (run.rules.first_tokens ?? null) : null;
}

/**
 * How many tokens somebody may claim in the open round; null: any number. That is a first work without a record, and with one as much as the
 * worker can lose and a first work more: so a claim at most doubles all that it has earned, and a lie on a small bond is short, whoever is found
 * how often. Where the rules withhold nothing there is no bond that could grow.
 * Records and bonds of workers change in merges only, as rules do, so what a worker is told when the round opens, or when it joins, still holds
 * when it hands in.
 */
export function mostTokens(run: RunState, worker: string): number | null {
  const { first_tokens, rules } = run;
  if (first_tokens === null) return null;
  const peer = run.peers.get(worker);
  if (!peer || lacksRecord(peer, rules)) return first_tokens;
  return rules.withheld_rounds > 0 ? first_tokens + withheldTokens(run, worker) : null;
}
