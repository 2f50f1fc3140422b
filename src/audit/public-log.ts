// Somebody's whole public log, wherever it lies: a hub's address, or a hub's folder on disk. Read in pages, believed in nothing.
import { CodedError } from '../errors.ts';
import { openCheckpoint } from '../ledger/checkpoint.ts';
import { LedgerError } from '../ledger/errors.ts';
import { hubOf, originOf } from '../ledger/key-names.ts';
import { MAX_NOTE_BYTES } from '../ledger/signed-note.ts';

/** What keeps a log from being read. None of these says that somebody lied. */
export type PublicLogErrorCode =
  /** Nothing answers at the address, or not for long enough. */
  | 'unreachable'
  /** There is no log of Potluck's at the address or in the folder. */
  | 'not-a-log'
  /** The log was written by another version. */
  | 'unknown-version'
  /** A writer kept changing the log while it was copied. */
  | 'log-in-motion'
  /** The log has no checkpoint yet, and nobody said whose it is. */
  | 'no-checkpoint'
  /** Something is larger than it can rightly be. */
  | 'too-large'
  /** A file of receipts holds something that is none of this hub's. */
  | 'bad-receipt'
  /** This code's own rules lead to a state that cannot be: an error in Potluck, of which nobody is accused. */
  | 'broken-state';
export class PublicLogError extends CodedError<PublicLogErrorCode> {}

/** What is untrue about a log: whoever keeps it lied, or damaged it. `details.index` and `details.blob` say where. */
export type AuditFailureCode =
  /** The checkpoint is not in its form, not signed by the hub, or by another one than was asked for. */
  | 'bad-checkpoint'
  /** The entries are not those whose root the hub has signed. */
  | 'wrong-root'
  /** A bundle of entries is cut off or has the wrong number of them, or an entry is missing. */
  | 'bad-bundle'
  /** A tile is not the one that follows from the entries. */
  | 'wrong-tile'
  /** An event is not in its one right form, not signed by its author, or of an unknown kind. */
  | 'bad-event'
  /** An event may not follow here: `details.refusal` has the core's code. */
  | 'refused'
  /** An event that the hub has signed, in a receipt or under a head, is not in the log. */
  | 'omitted'
  /** The hub has signed another history for somebody else. */
  | 'diverged'
  /** The bytes under a blob's name have another hash, or another size than the event says. */
  | 'corrupt-blob'
  /** A blob that a hub must keep is not there. */
  | 'missing-blob'
  /** A run's game, settings or first model cannot be read. */
  | 'bad-run'
  /** Work that the hub should never have taken. */
  | 'bad-work'
  /** A bundle does not hold the accepted work. */
  | 'wrong-bundle'
  /** The accepted work does not give the model that the log says. */
  | 'wrong-model'
  /** The accepted work does not give the step that the log says, or leaves something else out of it. */
  | 'wrong-step'
  /** The hub tells visitors something else than its log. */
  | 'wrong-status';
export class AuditFailure extends CodedError<AuditFailureCode> {}

/** Entries of a log that follow each other, as C2SP tlog-tiles bundles them (ledger/tiles.ts decodes). */
export interface LogPage {
  readonly first: number;
  readonly count: number;
  readonly bundle: Uint8Array;
}

/** A checkpoint whose signature by the log's hub has been verified. */
export interface SignedHead {
  readonly note: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** Where the bulk that a log names can be had. */
export interface PublicBlobs {
  /** A blob's bytes, verified; null where it is not kept. Throws AuditFailure `corrupt-blob`, PublicLogError. */
  blob(hash: string): Promise<Uint8Array | null>;
}

export interface PublicLog extends PublicBlobs {
  /** The address or folder, as it can be opened again. */
  readonly where: string;
  /** The id of the hub whose log this is. */
  readonly hub: string;
  /** The head that the hub has signed; null in a folder whose hub has signed none yet. */
  readonly head: SignedHead | null;
  /** How many entries can be read. In a folder some may be newer than the last signed head. */
  readonly size: number;
  /** What the hub served as the largest head that a witness has cosigned, asked for before `head`; null: none, or from a folder. */
  readonly cosigned: string | null;
  /** All entries in order. Throws AuditFailure `bad-bundle`, PublicLogError. */
  pages(): AsyncIterable<LogPage>;
  /** A tile of the tree as it is kept there; null where it is not kept. */
  tile(level: number, index: number, width: number): Promise<Uint8Array | null>;
  /** What the hub tells visitors (its /status); null from a folder. */
  status(): Promise<unknown>;
  close(): void;
}

/** Verifies a checkpoint. Its origin, potluck/ID, names the key that it must be signed with. Throws AuditFailure `bad-checkpoint`. */
export function openHead(
  note: string,
  expected: string | undefined,
): { readonly hub: string; readonly head: SignedHead } {
  const bad = (what: string) => new AuditFailure('bad-checkpoint', `the checkpoint: ${what}`);
  if (note.length > MAX_NOTE_BYTES) throw bad(`expected at most ${MAX_NOTE_BYTES} bytes, got ${note.length}`);
  const named = hubOf(note);
  if (!named) throw bad('expected the origin potluck/ and the id of a hub');
  if (expected && named !== expected) throw bad(`expected a log of hub ${expected}, got one of ${named}`);
  try {
    const { size, root } = openCheckpoint(note, { id: named, origin: originOf(named) });
    return { hub: named, head: { note, size, root } };
  } catch (error) {
    if (error instanceof LedgerError) throw bad(error.message);
    throw error;
  }
}
