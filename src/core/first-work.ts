// What a worker may claim before there is much that it could lose: many repeat its work, and the whole run waits for that, so its first work is
// short, and the next ones grow with what they would cost it.
import { withheldTokens } from './balances.ts';
import type { Rules } from './rules.ts';
import type { PeerState, RunState } from './state.ts';

/** Whether a worker has so short a record, of merged submissions since the last one that was refused, that everybody repeats its work. */
export const lacksRecord = (
  { consecutive_valid }: Pick<PeerState, 'consecutive_valid'>,
  { probation }: Pick<Rules, 'probation'>,
): boolean => consecutive_valid < Math.max(1, probation);

/** A round opens, and whoever may judge in it is seated: where nobody is, nobody waits for a judge, nor can anybody get a record. */
export function boundFirstWork(run: RunState): void {
  run.first_tokens = run.eligible.length > 0 ? (run.rules.first_tokens ?? null) : null;
}

/** A claim may be so many times what the worker can lose, roughly: a lie that is found sooner or later takes a jury that much longer. */
const GROWTH = 4;

/**
 * How many tokens somebody may claim in the open round; null: any number. That is a first work without a record, four of them once half of one
 * is withheld for it, and any number from two on. Where the rules withhold nothing there is no such bond to grow.
 * Records and bonds of workers change in merges only, as rules do, so what a worker is told when the round opens, or when it joins, still holds
 * when it hands in.
 */
export function mostTokens(run: RunState, worker: string): number | null {
  const { first_tokens, rules } = run;
  if (first_tokens === null) return null;
  const peer = run.peers.get(worker);
  if (!peer || lacksRecord(peer, rules)) return first_tokens;
  const twice = rules.withheld_rounds > 0 ? 2 * withheldTokens(run, worker) : Number.POSITIVE_INFINITY;
  if (twice >= GROWTH * first_tokens) return null;
  return twice >= first_tokens ? GROWTH * first_tokens : first_tokens;
}
