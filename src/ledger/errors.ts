// What can go wrong with the public log and its stores: one code for each.
import { CodedError } from '../errors.ts';

export type LedgerErrorCode =
  /** A blob's name is not 64 lower-case hexadecimal digits. */
  | 'bad-hash'
  /** The bytes under a blob's name have another hash. */
  | 'blob-corrupt'
  /** A blob is larger than the store takes. */
  | 'blob-too-large'
  /** The store's folder or file cannot be used. */
  | 'store-unusable'
  /** Another process (or another store in this one) has the log open. */
  | 'log-locked'
  /** The log file is damaged, or is no log of Potluck's. */
  | 'log-corrupt'
  /** The log file was written by another version. */
  | 'log-unknown-version'
  /** The log is shorter than, or differs from, what it has signed before. */
  | 'log-rewritten'
  /** An entry is empty or larger than 65,535 bytes. */
  | 'bad-entry'
  /** One call appends more than fits into a batch. */
  | 'too-many'
  /** An index or size beyond the log. */
  | 'out-of-range'
  /** More waits to be written than the queue may hold. Try again later. */
  | 'overloaded'
  /** There is no room on the disk; nothing of the call was kept, and it may be made again. */
  | 'disk-full'
  /** Writing failed, and what is on the disk is uncertain until it is opened anew. */
  | 'write-failed'
  /** Another writer has written this log since: whoever hears it writes no more. */
  | 'fenced'
  /** The journal gave no answer to any of several tries. */
  | 'journal-unreachable'
  /** The store is closed. */
  | 'closed'
  /** A checkpoint, note, cosignature, tile path or receipt is not in its format. */
  | 'malformed'
  /** A checkpoint carries no valid signature of the expected key. */
  | 'bad-signature'
  /** A proof does not prove what it should. */
  | 'bad-proof';

/** Raised by src/ledger; `code` says what went wrong. Only `overloaded` and `disk-full` are worth repeating. */
export class LedgerError extends CodedError<LedgerErrorCode> {}

/** A disk without room, a quota that is used up. */
const NO_ROOM = ['ENOSPC', 'EDQUOT'];

/** What the system's refusal of a read or a write means. */
export function codeOfSystemError(error: unknown): 'disk-full' | 'store-unusable' {
  return NO_ROOM.includes((error as NodeJS.ErrnoException).code ?? '') ? 'disk-full' : 'store-unusable';
}
