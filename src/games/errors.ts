// The errors of a game, its settings, and the work that it is given.
import { CodedError } from '../errors.ts';

export type GameErrorCode =
  | 'unknown-game'
  | 'bad-params'
  | 'bad-bundle'
  | 'bad-work'
  /** A step in a game that has no steps. */
  | 'bad-step'
  | 'bad-measurement'
  /** The loss or the weights became infinite or NaN: the run's settings are to blame, nobody's work. */
  | 'diverged'
  /** The file is not a game. */
  | 'bad-game-file'
  /** The game threw an error of its own. */
  | 'game-threw'
  /** The game gave a malformed answer. */
  | 'game-nonsense'
  /** The game did not answer in time. */
  | 'game-late'
  /** The thread that held the game's state has ended. */
  | 'game-ended'
  /** This device could not run a program to its end: that says nothing about the program. */
  | 'could-not-run'
  /** Another device of the run has said what cannot be. */
  | 'bad-message'
  /** The device does not lend what the game needs. */
  | 'bad-device';
export class GameError extends CodedError<GameErrorCode> {}
