// Why work is not accepted: what a check of a game throws, and makes a verdict of.
import { CodedError } from '../errors.ts';

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

/** Reads what honest software never gets wrong. */
export function orRefused<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CodedError) throw new Refused(error.code, true);
    throw error;
  }
}
