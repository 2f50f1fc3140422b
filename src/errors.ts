// Typed errors: a code, a sentence that says what was expected and what came, and plain-data details (after Lodestar's reqresp).

/** Plain data that travels with an error: it can be logged, sent over the wire and compared in tests. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null | readonly (string | number)[]>>;

/** The first issue that a schema found, with its place: "model.hidden_size: expected …". */
export function firstIssue({ issues }: SchemaError): string {
  const [{ path, message }] = issues;
  return path.length > 0 ? `${path.join('.')}: ${message}` : message;
}

interface SchemaError {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
}

/** An error's code, its sentence, and the details that belong to this code. */
type ErrorParts<Code extends string, Known> = {
  [C in Code]: C extends keyof Known
    ? [code: C, message: string, details: Known[C] & ErrorDetails]
    : [code: C, message: string, details?: ErrorDetails];
}[Code];

/**
 * The base of every error that Potluck raises on purpose.
 * Each room declares its own codes as a union of string literals: `class TensorError extends CodedError<TensorErrorCode> {}`.
 * `Known` types the details of some codes: whoever raises such a code must give them, and `is` narrows to them.
 */
export class CodedError<Code extends string = string, Known extends object = object> extends Error {
  readonly code: Code;
  readonly details: ErrorDetails;

  constructor(...[code, message, details]: ErrorParts<Code, NoInfer<Known>>) {
    super(message);
    this.name = new.target.name;
    this.code = code as Code;
    this.details = details ?? {};
  }

  /** Whether the error has this code, and so the details of this code. */
  is<C extends keyof Known & string>(code: C): this is { readonly code: C; readonly details: Known[C] } {
    return (this.code as string) === code;
  }
}

/** Whether the operating system refused something: a full disk, a folder without write permission. The device's owner can fix that. */
export function isSystemError(error: unknown): error is Error & { readonly code: unknown } {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

/**
 * Stops where something that must hold does not. That is a bug in this program, not bad input, so the error has no code.
 * @param what what should have held, in words
 */
export function assert(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`a mistake of this program: expected that ${what}`);
}
