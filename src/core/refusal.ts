// A refusal: why an event may not follow, as a typed value and not an exception.

export type RefusalCode =
  | 'not-the-hub'
  | 'not-the-owner'
  | 'unknown-run'
  | 'run-exists'
  | 'too-many-runs'
  | 'too-many-peers'
  | 'wrong-phase'
  | 'wrong-round'
  | 'wrong-model'
  | 'not-a-worker'
  | 'not-a-validator'
  | 'already-present'
  | 'not-present'
  | 'wrong-session'
  | 'already-submitted'
  | 'first-work-too-long'
  | 'unknown-submission'
  | 'already-judged'
  | 'already-evaluated'
  | 'wrong-metrics'
  | 'wrong-numbers'
  | 'run-full'
  | 'no-stake'
  | 'not-assigned'
  | 'not-sealed'
  | 'wrong-seal'
  | 'bad-verdict'
  | 'not-contestable'
  | 'too-many-contests'
  | 'wrong-contest'
  | 'wrong-draw'
  | 'wrong-proposal'
  | 'too-soon'
  | 'clock-went-back'
  | 'wrong-hub'
  | 'wrong-change'
  | 'not-enough-shares'
  | 'not-locked'
  | 'wrong-settlement'
  | 'stale-settlement'
  | 'wrong-merge'
  | 'wrong-statement'
  | 'statement-due'
  | 'wrong-grant'
  | 'not-enough-credit'
  | 'wrong-batch'
  | 'unknown-device'
  | 'wrong-payment'
  | 'not-enough-earned'
  | 'bad-certificate'
  | 'already-bound'
  | 'device-revoked'
  | 'device-expired';

/** Why an event may not follow: a code, and a sentence with what was expected and what came. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly message: string;
}

export const refuse = (code: RefusalCode, message: string): Refusal => ({ code, message });
