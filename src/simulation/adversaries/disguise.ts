// An adversary as a real device: the same wrapper as in the arena, fed by what a peer hears from its hub.
import type { AnyGame, Claim } from '../../games/game.ts';
import type { Situation } from '../../peer/peer.ts';
import type { RunView } from '../../protocol/messages.ts';
import { seededRandom } from '../../protocol/random.ts';
import type { Adversary } from './adversary.ts';

/** How often a device that waits for others' work looks. */
const LOOK_EVERY_MS = 200;

/**
 * What to give `joinRun` as `disguise`. `friends` are the ids of those it conspires with; `look` is what it sees of others' work
 * (a worker's own view of the run has none).
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
          others().map(async ({ work, steps, tokens, loss_micro }) => {
            return { work: await fetchBlob(work), steps, tokens, loss_micro };
          }),
        );
      },
      // Verdicts are not in the view that a hub sends: whoever copies has nothing to copy.
      shown: () => new Map(),
    });
  };
}
