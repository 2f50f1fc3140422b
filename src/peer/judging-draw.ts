// What a validator's draw and its comparisons follow from: the worker cannot foresee the one, everybody can check both.
import { drawMessage, drawOf } from '../core/judging.ts';
import { sha256 } from '../protocol/hash.ts';
import type { Identity } from '../protocol/identity.ts';

const utf8 = new TextEncoder();
/** More of the others' work than this is not compared: a copier copies what is near. */
const COMPARED = 64;

/** The first judge's draw for a submission: its signature, which it announces, and the number from 0 to 999 in it. */
export async function drawFor(
  judge: Identity,
  submission: string,
): Promise<{ readonly signature: Uint8Array; readonly permille: number }> {
  const signature = await judge.sign(drawMessage(submission));
  return { signature, permille: drawOf(signature) };
}

/** What hides a verdict until it is shown; the judge makes it again after a restart. */
export async function saltFor(judge: Identity, submission: string): Promise<Uint8Array> {
  return sha256(await judge.sign(utf8.encode(`potluck-salt-v1\n${submission}`)));
}

/**
 * Which work a submission is compared with: the nearest of the round that was merged last, then what stood in this round's
 * log before it. `before` and `now` are whole lists in the order of the log, `own` is the submission's place in `now`.
 */
export function comparedWith<T>(before: readonly T[], now: readonly T[], own: number): T[] {
  return [...before.slice(-COMPARED), ...now.slice(Math.max(0, own - COMPARED), own)];
}
