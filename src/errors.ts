// Typed errors: a code, a sentence that says what was expected and what came, and plain-data details (after Lodestar's reqresp).

/** Plain data that travels with an error: it can be logged, sent over the wire and compared in tests. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null | readonly (string | number)[]>>;

/** What a schema found wrong first, after where that is: "model.hidden_size: expected …". */
export function firstIssue({ issues }: SchemaError): string {
  const [{ path, message }] = issues;
  return path.length > 0 ? `${path.join('.')}: ${message}` : message;
}

interface SchemaError {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
}

/**
 * The base of every error that Potluck raises on purpose.
 * Each room declares its own codes as a union of string literals: `class TensorError extends CodedError<TensorErrorCode> {}`.
 */
export class CodedError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly details: ErrorDetails;

  constructor(code: Code, message: string, details: ErrorDetails = {}) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.details = details;
  }
}
