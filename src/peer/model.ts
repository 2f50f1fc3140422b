// A peer's copy of the model, brought up to date with the run one view at a time.
import type { AnyGame } from '../games/game.ts';
import { catchUp, type HeldState, type History } from '../games/history.ts';
import type { PeerBlobs } from './blobs.ts';

export interface ModelFollower {
  /** The state whose hash the view names. Throws HistoryError, PeerError (bad-blob, hub-unreachable). */
  follow(view: History): Promise<unknown>;
}

export function followModel(game: AnyGame, params: unknown, blobs: Pick<PeerBlobs, 'fetch'>): ModelFollower {
  let held: HeldState | null = null;
  // One at a time: two views that come quickly must not race over the same state.
  let queue: Promise<unknown> = Promise.resolve();
  return {
    follow(view) {
      const result = queue.then(async () => {
        held = await catchUp(game, params, view, held, blobs.fetch);
        return held.state;
      });
      queue = result.catch(() => {}); // whoever asked for it hears
      return result;
    },
  };
}
