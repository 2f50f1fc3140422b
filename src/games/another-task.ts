// A game played on another task than the one that the round gives: real work, and the wrong answer.
import type { AnyGame } from './game.ts';

const ANOTHER_SEED = '0'.repeat(64);

/** The game for a worker who works as if every round had the same seed. In a sound game no check accepts what it hands in. */
export function onAnotherTask(game: AnyGame): AnyGame {
  return {
    ...game,
    task: (params, round, peer, state) => game.task(params, { ...round, seed: ANOTHER_SEED }, peer, state),
  };
}
