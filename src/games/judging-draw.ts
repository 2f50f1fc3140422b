// The secret behind a validator's committed verdict, and the other work that it compares a submission with.
import { sha256, utf8 } from '../protocol/hash.ts';
import type { Identity } from '../protocol/identity.ts';

/** No more of the other work is compared, because a copier copies what is near. */
const COMPARED = 64;

/** The secret behind a verdict until it is revealed, different for each `instance` (an appeal, a contest). The judge can compute it again after a restart. */
export async function saltFor(judge: Identity, submission: string, instance: string): Promise<Uint8Array> {
  return sha256(await judge.sign(utf8(`potluck-salt-v2\n${submission}\n${instance}`)));
}

/**
 * The work that a submission is compared with: the nearest of the last merged round, then what came before it in this round's log.
 * `before` and `now` are complete lists in log order, `own` is the submission's position in `now`.
 */
export function comparedWith<T>(before: readonly T[], now: readonly T[], own: number): T[] {
  return [...before.slice(-COMPARED), ...now.slice(Math.max(0, own - COMPARED), own)];
}
