// The forms that most messages, events and files are made of.
import { z } from 'zod';
import { HASH_FORM } from './hash.ts';

/** A SHA-256, or a public key, which is an id, in hexadecimal. */
export const hash = z.string().regex(HASH_FORM, 'expected 64 lower-case hexadecimal digits');
export const count = z.int().min(0);
export const permille = count.max(1000);
/** What a peer does in a run. */
export const role = z.enum(['worker', 'validator']);
