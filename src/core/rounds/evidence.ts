// What a hub demands of a verdict's evidence: it is a published measurement that names its submission and its validator.
import { z } from 'zod';
import { CORE_LIMITS } from '../limits.ts';

const HeadSchema = z.looseObject({ submission: z.string(), validator: z.string() });

/** What is wrong with the evidence for a validator's verdict on a submission; null for nothing. The measurements themselves are the game's matter. */
export function flawOfEvidence(bytes: Uint8Array, submission: string, validator: string): string | null {
  const too_large = flawOfSize(bytes.length);
  if (too_large) return too_large;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return `evidence: expected JSON, got ${bytes.length} bytes that are not JSON`;
  }
  const head = HeadSchema.safeParse(value);
  if (!head.success) return 'evidence: expected an object with the submission and the validator';
  if (head.data.submission !== submission)
    return `evidence: expected that of ${submission}, got one of another submission`;
  if (head.data.validator !== validator) return `evidence: expected that of ${validator}, got another validator's`;
  return null;
}

/** What is wrong with evidence of a size, whatever it says; null: nothing. */
export function flawOfSize(size_bytes: number): string | null {
  if (size_bytes <= CORE_LIMITS.evidence_bytes) return null;
  return `evidence: at most ${CORE_LIMITS.evidence_bytes} bytes, got ${size_bytes}`;
}
