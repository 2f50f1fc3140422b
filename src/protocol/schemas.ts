// The zod schemas that most messages, events and files share.
import { z } from 'zod';
import { HASH_FORM } from './hash.ts';

/** A SHA-256 in hexadecimal, or a public key in hexadecimal, which is an id. */
export const hash = z.string().regex(HASH_FORM, 'expected 64 lower-case hexadecimal digits');
export const count = z.int().min(0);
export const permille = count.max(1000);
/** What a peer does in a run. */
export const role = z.enum(['worker', 'validator']);
