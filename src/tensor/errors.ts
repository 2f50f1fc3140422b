// The typed errors of tensor/: what was wrong with a graph, with a call, or with the runtime itself.
import { CodedError } from '../errors.ts';

export type TensorErrorCode =
  // A graph under construction.
  | 'bad_shape' // shapes that an operator cannot take; the message names the operator and every shape
  | 'bad_dtype'
  | 'bad_attribute'
  | 'bad_name' // empty, or given twice
  | 'bad_graph' // values that nobody made, cycles, operators unknown here
  | 'no_gradient' // an operator, or a path, that cannot be differentiated
  | 'too_large' // beyond a named limit
  // A call to a runtime.
  | 'unknown_name'
  | 'missing_input'
  | 'bad_length'
  | 'bad_argument'
  | 'closed' // the program or its runtime was closed
  // The runtime.
  | 'bad_model' // bytes that ONNX Runtime refuses
  | 'run_failed'
  | 'runtime_died' // its worker is gone, and the states with it
  | 'unavailable'; // this machine cannot run it

/** Every error that tensor/ raises on purpose. */
export class TensorError extends CodedError<TensorErrorCode> {}
