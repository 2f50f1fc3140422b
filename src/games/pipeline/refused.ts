// Why work of a stage is not accepted.

export class Refused extends Error {
  readonly code: string;
  /** Whether no honest worker can have handed this in. */
  readonly fraud: boolean;
  readonly evidence: Readonly<Record<string, unknown>>;
  constructor(code: string, fraud: boolean, evidence: Readonly<Record<string, unknown>> = {}) {
    super(code);
    this.code = code;
    this.fraud = fraud;
    this.evidence = evidence;
  }
}
