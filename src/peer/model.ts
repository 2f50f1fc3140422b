// A peer's copy of the model, updated one view at a time.
import type { AnyGame } from '../games/game.ts';
import { catchUp, type HeldState, type History, type Way } from '../games/history.ts';
import type { PeerBlobs } from './blobs.ts';

export interface ModelFollower {
  /** The state whose hash the view names. Throws HistoryError, PeerError (`bad-blob`, `hub-unreachable`). */
  follow(view: History): Promise<unknown>;
}

/** `way`: a validator computes every step again from the evidence, which it has to fetch anyway; others apply the steps as they are. */
export function followModel(
  game: AnyGame,
  params: unknown,
  blobs: Pick<PeerBlobs, 'fetch'>,
  way: Way = 'follow',
): ModelFollower {
  let held: HeldState | null = null;
  // One update at a time: two quick views must not race over the same state.
  let queue: Promise<unknown> = Promise.resolve();
  return {
    follow(view) {
      const result = queue.then(async () => {
        held = await catchUp(game, params, view, held, blobs.fetch, way);
        return held.state;
      });
      queue = result.catch(() => {}); // the caller handles the error
      return result;
    },
  };
}
