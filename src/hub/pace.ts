// What costs more than a look is done a few at a time: a thousand who ask in one moment do not stand before everybody who asks for little.
import { openTurns } from './turns.ts';

/** In one turn of the event loop; each is a state written to a socket, an entry read and packed, a signature verified: some milliseconds at most. */
const A_TURN = 8;

/** Resolves when it is the asker's turn, in the order of asking: every time the event loop comes round, so many. */
export function openPace(): () => Promise<void> {
  const turns = openTurns(A_TURN);
  return () => turns(() => new Promise((resolve) => setImmediate(resolve)));
}
