// A game played on another task than the one that the round gives: real work, and the wrong answer.
import type { AnyGame, Round } from './game.ts';

/** The game for a worker who works as if rounds had other seeds. In a sound game no check accepts what it hands in. */
export function onWrongTask(game: AnyGame, seedOf: (round: Round) => string): AnyGame {
  return {
    ...game,
    task: (params, round, peer, state) => game.task(params, { ...round, seed: seedOf(round) }, peer, state),
  };
}
