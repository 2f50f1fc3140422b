// What a worker without a record may claim: everybody repeats all of its work, and the whole run waits for that, so its first work is short.
import type { Rules } from '../rules.ts';
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
 * How many tokens somebody may claim in the open round; null: any number. Records change in merges only, as rules do, so what a worker
 * is told when the round opens, or when it joins, still holds when it hands in.
 */
export function mostTokens(run: RunState, worker: string): number | null {
  const peer = run.peers.get(worker);
  return !peer || lacksRecord(peer, run.rules) ? run.first_tokens : null;
}
