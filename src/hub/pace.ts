// Paces expensive steps, so that a thousand requests at one moment do not block everybody who asks for little.
import { openTurns } from './turns.ts';

/** Steps per turn of the event loop; each is a state sent to a socket, an entry read and packed, a signature verified: together some milliseconds. */
const A_TURN = 8;

/** Resolves when it is the caller's turn, in the order of the calls: so many in every turn of the event loop. */
export function openPace(): () => Promise<void> {
  const turns = openTurns(A_TURN);
  return () => turns(() => new Promise((resolve) => setImmediate(resolve)));
}
