// How often somebody's work is repeated: always at first, then ever more rarely, never not at all (BOINC's adaptive replication).

/** What is known of a peer: its repeated submissions that held, since the last one that did not. */
export interface TrackRecord {
  readonly consecutive_valid: number;
}

/** Whoever has never been checked, or has just failed. */
export const NO_RECORD: TrackRecord = { consecutive_valid: 0 };

/** So many in a row must hold before trust begins, where a run's rules do not say otherwise. BOINC's number. */
const PROBATION = 10;

/**
 * In how many of a thousand cases a peer's next submission is repeated: always (1000) until `probation` in a row have held, afterwards
 * max(least_permille, 1000 / consecutive_valid), rounded up. `least_permille` is held within 1 … 1000: nobody is ever beyond checking.
 * A record that makes no sense counts as none.
 */
export function reexecutionPermille(
  { consecutive_valid }: TrackRecord,
  least_permille: number,
  probation = PROBATION,
): number {
  if (!Number.isSafeInteger(consecutive_valid) || consecutive_valid < probation) return 1000;
  if (consecutive_valid < 1) return 1000;
  const least = Number.isFinite(least_permille) ? Math.max(1, Math.min(1000, Math.ceil(least_permille))) : 1000;
  return Math.max(least, Math.ceil(1000 / consecutive_valid));
}

/** The record after a submission was repeated: one more that held, or a new beginning. What was not repeated changes no record. */
export function afterReexecution({ consecutive_valid }: TrackRecord, valid: boolean): TrackRecord {
  return valid ? { consecutive_valid: consecutive_valid + 1 } : NO_RECORD;
}
