// A program that nobody trusts, run in a sandbox: what it may use, and how it can end.

/** What the interpreter asks for at its start: no run can have less memory. */
export const LEAST_MEMORY_BYTES = 1 << 24;

/** What a run may use. Each is counted by the sandbox, so that every device comes to the same end, however fast it is. */
export interface ProgramLimits {
  /** Turns of loops and calls inside the interpreter (metered.ts): about 30 for one turn of a program's own loop. */
  readonly steps: number;
  /** All memory of the sandbox, of which the interpreter takes 6 MiB. */
  readonly memory_bytes: number;
  /** The output as JSON. */
  readonly output_bytes: number;
}

/** How a run has ended; the same on every device. */
export type ProgramResult =
  /** It gave back a JSON value. */
  | { readonly kind: 'value'; readonly value: unknown; readonly steps: number }
  /** It threw, could not be read, or gave back what is no JSON. */
  | { readonly kind: 'error'; readonly message: string; readonly steps: number }
  /** It reached a limit. `out-of-stack`: calls inside calls. */
  | {
      readonly kind: 'out-of-steps' | 'out-of-memory' | 'out-of-stack' | 'too-much-output';
      readonly steps: number;
    };

/**
 * Runs a program: JavaScript text whose last value is a function of one argument, such as `(input) => input.map((x) => x * x)`. It is called once with
 * the input, a JSON value, in an interpreter of its own without clock, randomness or any way out. What it does later (promises) is not done.
 * Throws GameError could-not-run where this device cannot carry the run to its end, which says nothing about the program, and game-nonsense for
 * limits that no device gives.
 */
export type RunProgram = (program: string, input: unknown, limits?: Partial<ProgramLimits>) => Promise<ProgramResult>;

export interface ProgramJob {
  readonly program: string;
  /** As JSON. */
  readonly input: string;
  readonly limits: ProgramLimits;
}
