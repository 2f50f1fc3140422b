// The zod schemas that most messages, events and files share.
import { z } from 'zod';
import { HASH_FORM } from './hash.ts';

/** A SHA-256 in hexadecimal, or a public key in hexadecimal, which is an id. */
export const hash = z.string().regex(HASH_FORM, 'expected 64 lower-case hexadecimal digits');
export const count = z.int().min(0);
export const permille = count.max(1000);
export const bytes = (max: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= max, `expected at most ${max} bytes`);
/** What a peer does in a run. */
export const role = z.enum(['worker', 'validator']);

/**
 * Text that stands in lists and terminals: no control characters, no line breaks, none of the marks that turn the direction
 * of writing (Unicode TR 9), with which a name could pass for another or rewrite what stands around it.
 */
export const oneLine = (max_characters: number) =>
  z
    .string()
    .min(1)
    .max(max_characters)
    .regex(
      /^[^\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$/u,
      'expected text without control characters and marks of direction',
    );
