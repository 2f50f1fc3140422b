// An adversary as a real device: the same wrapper as in the arena, with what a peer learns from its hub.
import type { AnyGame, Claim } from '../../games/game.ts';
import type { Situation } from '../../peer/peer.ts';
import type { RunView } from '../../protocol/messages.ts';
import { seededRandom } from '../../protocol/random.ts';
import type { Adversary } from './adversary.ts';

/** How often a device that waits for other work checks. */
const LOOK_EVERY_MS = 200;

/**
 * The option `disguise` of `joinRun`. `friends` are the ids of its conspirators; `look` is its source of other workers' submissions
 * (a worker's own view of the run does not contain them).
 */
export function disguiseOf(adversary: Adversary, friends: readonly string[], look: () => RunView | null) {
  return (game: AnyGame, { role, peer, params, fetchBlob }: Situation): AnyGame => {
    const others = () => look()?.submissions.filter(({ worker }) => worker !== peer) ?? [];
    return adversary.play(game, {
      ...{ role, peer, params, friends: new Set(friends), family: new Map<string, Claim>() },
      random: seededRandom('adversary', peer),
      async seen(signal) {
        while (others().length === 0 && !signal.aborted) {
          await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
        }
        return Promise.all(
          others().map(async ({ work, amount, numbers }) => {
            return { work: await fetchBlob(work), amount, numbers };
          }),
        );
      },
      // A hub's views do not contain verdicts, so a copying validator has nothing to copy.
      shown: () => new Map(),
    });
  };
}
