// Which witnesses have cosigned a log (c2sp.org/tlog-cosignature). Without any, a hub could show everybody another log.
import { openCheckpoint, verifyCosignature } from '../ledger/checkpoint.ts';
import { LedgerError } from '../ledger/errors.ts';
import { originOf, witnessOf } from '../ledger/key-names.ts';
import { MAX_NOTE_BYTES, parseNote } from '../ledger/signed-note.ts';
import { AuditFailure } from './public-log.ts';

/** A head with the witnesses whose cosignatures under it are valid. */
export interface Cosigned {
  readonly size: number;
  readonly root: Uint8Array;
  readonly note: string;
  readonly witnesses: readonly { readonly name: string; readonly time_s: number }[];
  /** Signatures under names that do not contain their key; only those who know the key can verify them. */
  readonly unknown: readonly string[];
}

/** Opens the head that a hub serves as cosigned. Throws AuditFailure `bad-checkpoint`. */
export function openCosigned(note: string, hub: string): Cosigned {
  const origin = originOf(hub);
  try {
    if (note.length > MAX_NOTE_BYTES) throw new LedgerError('malformed', `at most ${MAX_NOTE_BYTES} bytes`);
    const { size, root } = openCheckpoint(note, { id: hub, origin });
    const names = [...new Set(parseNote(note).signatures.map(({ name }) => name))].filter((name) => name !== origin);
    const witnesses = names.flatMap((name) => {
      const id = witnessOf(name);
      return id && id !== hub ? [{ name, time_s: verifyCosignature(note, { name, id }).time_s }] : [];
    });
    return { size, root, note, witnesses, unknown: names.filter((name) => !witnessOf(name)) };
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    throw new AuditFailure('bad-checkpoint', `the head that the hub serves as cosigned: ${error.message}`);
  }
}
