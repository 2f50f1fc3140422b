// A hub's whole public log, from its address or its folder. It is read in pages, and nothing in it is trusted.
import { CodedError } from '../errors.ts';
import { openCheckpoint } from '../ledger/checkpoint.ts';
import { LedgerError } from '../ledger/errors.ts';
import { hubOf, originOf } from '../ledger/key-names.ts';
import { MAX_NOTE_BYTES } from '../ledger/signed-note.ts';

/** What keeps a log from being read. None of these says that anybody lied. */
export type PublicLogErrorCode =
  /** Nothing answers at the address, or not for long enough. */
  | 'unreachable'
  /** There is no Potluck log at the address or in the folder. */
  | 'not-a-log'
  /** The log was written by another version. */
  | 'unknown-version'
  /** A writer kept changing the log while it was copied. */
  | 'log-in-motion'
  /** A mirror shows an older log than the hub is known to have signed: it lags behind, or somebody holds it back. */
  | 'old-mirror'
  /** The log has no checkpoint yet, and the caller did not say which hub's it is. */
  | 'no-checkpoint'
  /** Something is larger than it may be. */
  | 'too-large'
  /** A file of receipts holds something that this hub has not signed. */
  | 'bad-receipt'
  /** This program's own rules lead to an impossible state: a bug in Potluck, which accuses nobody. */
  | 'broken-state';
export class PublicLogError extends CodedError<PublicLogErrorCode> {}

/** An untruth in a log: its keeper lied, or damaged it. `details.index` and `details.blob` say where. */
export type AuditFailureCode =
  /** The checkpoint is malformed, not signed by the hub, or signed by another hub than the caller expected. */
  | 'bad-checkpoint'
  /** The entries do not give the root that the hub has signed. */
  | 'wrong-root'
  /** A bundle of entries is cut off or has the wrong number of them, or an entry is missing. */
  | 'bad-bundle'
  /** A tile does not follow from the entries. */
  | 'wrong-tile'
  /** An event is not canonical, not signed by its author, or of an unknown type. */
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
  /** Work that the hub should have refused. */
  | 'bad-work'
  /** A bundle does not hold the accepted work. */
  | 'wrong-bundle'
  /** The accepted work does not give the model that the log names. */
  | 'wrong-model'
  /** The accepted work does not give the step that the log names, or leaves out something else. */
  | 'wrong-step'
  /** A batch of answers says what its receipts do not, or one of them should not be in it. */
  | 'wrong-answers'
  /** The log from which a run came here is not true, or not the one under whose head it came: `details.hub` and `details.from` name both hubs. */
  | 'wrong-past'
  /** The hub has signed that it saw a revocation in its registry's log, and left it out of what it took in: `details.device`. */
  | 'held-back'
  /** The hub shows visitors something that its log contradicts. */
  | 'wrong-status';
export class AuditFailure extends CodedError<AuditFailureCode> {}

/** Consecutive entries of a log, as C2SP tlog-tiles bundles them (ledger/tiles.ts decodes). */
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

/** Access to the blobs that a log names. */
export interface PublicBlobs {
  /** A blob's bytes, verified; null where it is not kept. Throws AuditFailure `corrupt-blob`, PublicLogError. */
  blob(hash: string): Promise<Uint8Array | null>;
}

export interface PublicLog extends PublicBlobs {
  /** Whether these are files that the hub once gave away: what is missing or old there says nothing about the hub. */
  readonly is_mirror?: true;
  /** The address or folder, with which the log can be opened again. */
  readonly where: string;
  /** The id of the hub whose log this is. */
  readonly hub: string;
  /** The head that the hub has signed; null in a folder whose hub has signed none yet. */
  readonly head: SignedHead | null;
  /** How many entries can be read. In a folder some may be newer than the last signed head. */
  readonly size: number;
  /** The largest cosigned head that the hub served, requested before `head`; null where there is none, and from a folder. */
  readonly cosigned: string | null;
  /** All entries in order. Throws AuditFailure `bad-bundle`, PublicLogError. */
  pages(): AsyncIterable<LogPage>;
  /** A tile of the tree as it is stored there; null where it is not. */
  tile(level: number, index: number, width: number): Promise<Uint8Array | null>;
  /** The status that the hub shows visitors (/status); null from a folder. */
  status(): Promise<unknown>;
  close(): void;
}

/** Verifies a checkpoint. Its origin, potluck/ID, names the key that must have signed it. Throws AuditFailure `bad-checkpoint`. */
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
