// The errors of the simulator.
import { CodedError } from '../errors.ts';

export type SimulationErrorCode =
  /** Something that must always hold did not; the message says what. */
  | 'violated'
  /** A planted fault whose text is not in its file, or more than once. */
  | 'bad-fault'
  /** Invalid options of a command. */
  | 'bad-options'
  /** The file of a fleet that says something else than a fleet; the message says where, what was expected and what came. */
  | 'bad-fleet'
  /** The silence of an adversary that never gives a verdict. */
  | 'silent'
  /** Honest work earns nothing in this game, so there is nothing to compare lies with. */
  | 'no-honest-pay';

export class SimulationError extends CodedError<SimulationErrorCode> {}
