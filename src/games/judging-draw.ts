// What hides a validator's verdict, and what it compares work with.
import { sha256, utf8 } from '../protocol/hash.ts';
import type { Identity } from '../protocol/identity.ts';

/** More of the others' work than this is not compared: a copier copies what is near. */
const COMPARED = 64;

/** What hides a verdict until it is shown, another one in each `instance`: an appeal, a contest; the judge makes it again after a restart. */
export async function saltFor(judge: Identity, submission: string, instance: string): Promise<Uint8Array> {
  return sha256(await judge.sign(utf8(`potluck-salt-v2\n${submission}\n${instance}`)));
}

/**
 * Which work a submission is compared with: the nearest of the round that was merged last, then what stood in this round's
 * log before it. `before` and `now` are whole lists in the order of the log, `own` is the submission's place in `now`.
 */
export function comparedWith<T>(before: readonly T[], now: readonly T[], own: number): T[] {
  return [...before.slice(-COMPARED), ...now.slice(Math.max(0, own - COMPARED), own)];
}
