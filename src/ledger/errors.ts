// The errors of the public log and its stores, one code for each kind.
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
  /** A store elsewhere does not answer, or asks to slow down; the call may be repeated. */
  | 'store-busy'
  /** Another process (or another store in this one) has the log open. */
  | 'log-locked'
  /** The log file is damaged, or is not a Potluck log. */
  | 'log-corrupt'
  /** The log file was written by another version. */
  | 'log-unknown-version'
  /** The log is shorter than, or differs from, what it has signed before. */
  | 'log-rewritten'
  /** An entry is empty or larger than 65,535 bytes. */
  | 'bad-entry'
  /** One call appends more than fits into a batch. */
  | 'too-many'
  /** An index or size is beyond the end of the log. */
  | 'out-of-range'
  /** The queue of entries to be written is full. Try again later. */
  | 'overloaded'
  /** The disk is full; nothing of the call was kept, and the call may be repeated. */
  | 'disk-full'
  /** Writing failed, and the state of the disk is unknown until the log is opened anew. */
  | 'write-failed'
  /** Another writer has written this log since; this one must not write any more. */
  | 'fenced'
  /** The journal did not answer any of several attempts. */
  | 'journal-unreachable'
  /** A public file that never changes is there already, with other bytes. */
  | 'file-differs'
  /** A public file could not be read, which says nothing about whether it is there. */
  | 'read-failed'
  /** The store is closed. */
  | 'closed'
  /** A checkpoint, note, cosignature, tile path or receipt does not have its format. */
  | 'malformed'
  /** A checkpoint carries no valid signature of the expected key. */
  | 'bad-signature'
  /** A proof does not prove its claim. */
  | 'bad-proof';

/** The error of src/ledger; `code` says what went wrong. Only after `overloaded`, `store-busy` and `disk-full` does a retry make sense. */
export class LedgerError extends CodedError<LedgerErrorCode> {}

/** A full disk, or a used-up quota. */
const NO_ROOM = ['ENOSPC', 'EDQUOT'];

/** The LedgerError code for a system error of a read or write. */
export function codeOfSystemError(error: unknown): 'disk-full' | 'store-unusable' {
  return NO_ROOM.includes((error as NodeJS.ErrnoException).code ?? '') ? 'disk-full' : 'store-unusable';
}
