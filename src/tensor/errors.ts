// The errors of tensor/: what was wrong with a graph, a call, or the runtime itself.
import { CodedError } from '../errors.ts';

export type TensorErrorCode =
  // A graph under construction.
  | 'bad-shape' // shapes that an operator does not accept; the message names the operator and every shape
  | 'bad-dtype'
  | 'bad-attribute'
  | 'bad-name' // empty, or given twice
  | 'bad-graph' // values without an origin, cycles, unknown operators
  | 'no-gradient' // an operator, or a path, that cannot be differentiated
  | 'too-large' // beyond a named limit
  // A call to a runtime.
  | 'unknown-name'
  | 'missing-input'
  | 'bad-length'
  | 'bad-argument'
  | 'closed' // the program or its runtime was closed
  // The runtime.
  | 'bad-model' // bytes that ONNX Runtime refuses
  | 'run-failed'
  | 'runtime-died' // its worker has ended, and its states are lost
  | 'unavailable'; // this machine cannot run it

/** The error of tensor/. */
export class TensorError extends CodedError<TensorErrorCode> {}
