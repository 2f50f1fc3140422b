// The typed errors of tensor/: what was wrong with a graph, with a call, or with the runtime itself.
import { CodedError } from '../errors.ts';

export type TensorErrorCode =
  // A graph under construction.
  | 'bad-shape' // shapes that an operator cannot take; the message names the operator and every shape
  | 'bad-dtype'
  | 'bad-attribute'
  | 'bad-name' // empty, or given twice
  | 'bad-graph' // values that nobody made, cycles, operators unknown here
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
  | 'runtime-died' // its worker is gone, and the states with it
  | 'unavailable'; // this machine cannot run it

/** Every error that tensor/ raises on purpose. */
export class TensorError extends CodedError<TensorErrorCode> {}
