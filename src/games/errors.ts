// What can be wrong with a game, its settings, and the work that it is given.
import { CodedError } from '../errors.ts';

export type GameErrorCode =
  | 'unknown-game'
  | 'bad-params'
  | 'bad-bundle'
  | 'bad-work'
  /** A step in a game that has none. */
  | 'bad-step'
  | 'bad-measurement'
  /** Training that left the finite numbers: the run's settings are too wild, nobody's work is at fault. */
  | 'diverged'
  /** A file that is no game. */
  | 'bad-game-file'
  /** A game that broke off with an error of its own. */
  | 'game-threw'
  /** A game that answered something that is no answer. */
  | 'game-nonsense'
  /** A game that did not answer in time. */
  | 'game-late'
  /** What was held in a thread of a game that has been ended. */
  | 'game-ended'
  /** A device that does not lend what a game wants. */
  | 'bad-device';
export class GameError extends CodedError<GameErrorCode> {}
