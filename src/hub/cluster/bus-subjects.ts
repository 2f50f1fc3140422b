// Subjects of the bus, as NATS has them: parts between dots; the last part of a pattern may be `*`, which stands for any one part.
import { assert } from '../../errors.ts';
import { HubError } from '../errors.ts';
import { MAX_BUS_BYTES } from './bus.ts';

const SUBJECT = /^[\w-]+(\.[\w-]+)*$/;
const PATTERN = /^[\w-]+(\.[\w-]+)*(\.\*)?$/;

/** Subjects are made by this program: a wrong one is a mistake of it. */
export function checkSubject(subject: string): void {
  assert(SUBJECT.test(subject), `a subject has parts of letters, digits, _ and - between dots, got "${subject}"`);
}

export function checkPattern(pattern: string): void {
  assert(PATTERN.test(pattern), `a pattern is a subject that may end in .*, got "${pattern}"`);
}

/** Whether a pattern stands for a subject. */
export function fits(pattern: string, subject: string): boolean {
  if (!pattern.endsWith('.*')) return pattern === subject;
  const stem = pattern.slice(0, -1);
  return subject.startsWith(stem) && subject.length > stem.length && !subject.includes('.', stem.length);
}

/** Throws HubError `too-large`. */
export function checkSize(subject: string, { length }: Uint8Array): void {
  if (length <= MAX_BUS_BYTES) return;
  const details = { size_bytes: length, most_bytes: MAX_BUS_BYTES };
  throw new HubError('too-large', `${subject}: expected at most ${MAX_BUS_BYTES} bytes, got ${length}`, details);
}

/** Nobody heard the question. */
export const unheard = (subject: string, why: string): HubError =>
  new HubError('no-answer', `${subject}: expected an answer, ${why}`, { unheard: true });

/** Somebody may have heard it. */
export const unanswered = (subject: string, timeout_ms: number): HubError =>
  new HubError('no-answer', `${subject}: expected an answer within ${timeout_ms} ms, got none`, { unheard: false });
