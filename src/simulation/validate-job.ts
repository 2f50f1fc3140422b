// One game to be validated, in a thread that is ended where the game never gives way.
import { askGameThread } from './game-thread.ts';
import type { Check } from './validate.ts';

/** What is validated. */
export interface ValidateJob {
  /** A game's name, or the path of a file that exports one. */
  readonly game: string;
  /** The game's settings; null: its defaults. */
  readonly settings: unknown;
  /** How long one call of the game may take. */
  readonly call_ms: number;
}

/** Tells each promise of a game. @returns the game's name. Throws what game-thread.ts says, GameError, SimulationError. */
export const validateInThread = (job: ValidateJob, onPart: (check: Check) => void): Promise<string> =>
  askGameThread({ file: new URL('./validate-thread.ts', import.meta.url), job, call_ms: job.call_ms, onPart });
