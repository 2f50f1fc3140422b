// What can be wrong with a game, its settings, and the work that it is given.
import { CodedError } from '../errors.ts';

export type GameErrorCode = 'unknown-game' | 'bad-params' | 'bad-bundle' | 'bad-measurement';
export class GameError extends CodedError<GameErrorCode> {}
