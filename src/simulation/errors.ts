// What the simulator finds, and what stops it.
import { CodedError } from '../errors.ts';

export type SimulationErrorCode =
  /** Something that must always hold did not; the message says what. */
  | 'violated'
  /** A planted fault whose text is not in its file, or more than once. */
  | 'bad-fault'
  /** A command line that cannot be followed. */
  | 'bad-options'
  /** A judge that says nothing, which is what it is there for. */
  | 'silent'
  /** A game in which honest work earns nothing has nothing to compare with. */
  | 'no-honest-pay';

export class SimulationError extends CodedError<SimulationErrorCode> {}
