// A peer's copy of the model, brought up to date with the run one view at a time.
import type { AnyGame } from '../games/game.ts';
import { catchUp, type HeldState, type History, type Way } from '../games/history.ts';
import type { PeerBlobs } from './blobs.ts';

export interface ModelFollower {
  /** The state whose hash the view names. Throws HistoryError, PeerError (bad-blob, hub-unreachable). */
  follow(view: History): Promise<unknown>;
}

/** `way`: a validator makes every step anew from the evidence, which it has to fetch anyway; others take the steps as they are. */
export function followModel(
  game: AnyGame,
  params: unknown,
  blobs: Pick<PeerBlobs, 'fetch'>,
  way: Way = 'follow',
): ModelFollower {
  let held: HeldState | null = null;
  // One at a time: two views that come quickly must not race over the same state.
  let queue: Promise<unknown> = Promise.resolve();
  return {
    follow(view) {
      const result = queue.then(async () => {
        held = await catchUp(game, params, view, held, blobs.fetch, way);
        return held.state;
      });
      queue = result.catch(() => {}); // whoever asked for it hears
      return result;
    },
  };
}
