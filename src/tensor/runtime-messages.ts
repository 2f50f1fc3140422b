// The messages between a runtime and its worker: plain data for structured cloning.

import type { ErrorDetails } from '../errors.ts';
import type { TensorErrorCode } from './errors.ts';
import type { CompiledGraph, TensorMap } from './runtime.ts';

/** A call to the worker; `program` is the number that `load` returned. */
export type Call =
  /** `shared`: states in memory shared with other workers' programs, by name. `owner`: a program here that states are shared with. */
  | {
      readonly method: 'load';
      readonly graph: CompiledGraph;
      readonly shared: ReadonlyMap<string, Float32Array>;
      readonly owner?: number;
    }
  | { readonly method: 'writeState'; readonly program: number; readonly values: ReadonlyMap<string, Float32Array> }
  | { readonly method: 'readState'; readonly program: number; readonly names: readonly string[] }
  /** `as_before`: inputs in shared memory that are those of the last run. */
  | {
      readonly method: 'run';
      readonly program: number;
      readonly inputs: TensorMap;
      readonly as_before: readonly string[];
    }
  | { readonly method: 'release'; readonly program: number }
  /** Releases everything; after the answer the worker may be ended. */
  | { readonly method: 'close' };

export interface Request {
  readonly id: number;
  readonly call: Call;
}

export type Answer = number | TensorMap | ReadonlyMap<string, Float32Array> | null;

export type Response =
  | { readonly id: number; readonly answer: Answer }
  | {
      readonly id: number;
      readonly error: { readonly code: TensorErrorCode; readonly message: string; readonly details: ErrorDetails };
    };
