// Verifies a .tlog-proof (c2sp.org/tlog-proof@v1) with nothing else at hand: the hub has put an event into its log, and who cosigned that.
import { decodeEvent } from '../core/codec.ts';
import type { LoggedEvent } from '../core/events.ts';
import { LedgerError } from '../ledger/errors.ts';
import { hubOf, originOf } from '../ledger/key-names.ts';
import { parseTlogProof, verifyTlogProof } from '../ledger/tlog-proof.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { OwnershipError } from './ownership-errors.ts';
import { AuditFailure } from './public-log.ts';
import { type Cosigned, openCosigned } from './witnesses.ts';

export interface EntryProof {
  readonly hub: string;
  readonly index: number;
  /** Entries under the signed head. */
  readonly size: number;
  readonly event: LoggedEvent;
  readonly witnesses: Cosigned['witnesses'];
}

/** Whether a file begins as a proof does. */
export function isEntryProof(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes.subarray(0, 21)) === 'c2sp.org/tlog-proof@v';
}

/**
 * Verifies a proof. `entry`: the event's bytes, where the proof does not carry them as its extra data.
 * Throws OwnershipError `malformed`, `bad-signature`, `bad-proof`, `no-entry`.
 */
export function checkEntryProof(text: string, entry?: Uint8Array): EntryProof {
  try {
    const { note, extra } = parseTlogProof(text);
    const bytes = entry ?? extra;
    if (!bytes) {
      throw new OwnershipError(
        'no-entry',
        'the proof does not contain its entry: name the file that does, with --entry FILE',
      );
    }
    const hub = hubOf(note);
    if (!hub) {
      throw new OwnershipError(
        'malformed',
        `expected a log named potluck/ and the id of a hub, got ${note.split('\n', 1)[0].slice(0, 80)}`,
      );
    }
    const { index, size } = verifyTlogProof(text, bytes, { id: hub, origin: originOf(hub) });
    return { hub, index, size, event: decodeEvent(bytes), witnesses: openCosigned(note, hub).witnesses };
  } catch (error) {
    if (error instanceof LedgerError)
      throw new OwnershipError(OF_LEDGER[error.code] ?? 'malformed', error.message, error.details);
    // The cosignature or the entry is malformed. The log may hold such an entry, but it says nothing.
    if (error instanceof AuditFailure) throw new OwnershipError('bad-signature', error.message, error.details);
    if (error instanceof ProtocolError) {
      const code = error.code === 'bad-signature' ? 'bad-signature' : 'malformed';
      throw new OwnershipError(code, `the entry: ${error.message}`, error.details);
    }
    throw error;
  }
}

const OF_LEDGER: Readonly<Partial<Record<LedgerError['code'], OwnershipError['code']>>> = {
  'bad-signature': 'bad-signature',
  'bad-proof': 'bad-proof',
};
