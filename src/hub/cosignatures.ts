// What witnesses say of this hub's log: their cosignatures, each verified, the latest of each, served beside the checkpoint.
import { openCheckpoint, verifyCosignature } from '../ledger/checkpoint.ts';
import { NOTE_ED25519, noteKeyId, parseNote, signatureLine } from '../ledger/signed-note.ts';
import { HubError } from './errors.ts';

/** A note takes 64 signatures; half of them are plenty. */
const WITNESSES = 32;
/** A witness that has been silent for so long makes room for another. */
const SILENT_S = 3600;

interface Cosigned {
  readonly text: string;
  readonly size: number;
  readonly time_s: number;
  readonly line: string;
}

export interface Cosignatures {
  /** Takes the cosignatures of a note; resolves with the witnesses. Throws LedgerError malformed, bad-signature; HubError too-many-witnesses. */
  add(note: string): string[];
  /** A checkpoint with every cosignature that it has. */
  join(note: string): string;
  /** The largest checkpoint that a witness has cosigned; null where there is none. */
  largest(): string | null;
}

/** Cosignatures of the checkpoints of the hub `id`. They are kept in memory: witnesses come again. */
export function openCosignatures(id: string): Cosignatures {
  const origin = `potluck/${id}`;
  const held = new Map<string, Cosigned>();
  /** This hub's own signature lines of the checkpoints that are held. */
  const signed = new Map<string, string>();

  const makeRoom = (newcomer: string, time_s: number): void => {
    if (held.has(newcomer) || held.size < WITNESSES) return;
    const [oldest, { time_s: last_s }] = [...held].sort(([, a], [, b]) => a.time_s - b.time_s)[0];
    if (time_s - last_s < SILENT_S) {
      throw new HubError(
        'too-many-witnesses',
        `this hub keeps the cosignatures of ${WITNESSES} witnesses, and all are at work`,
      );
    }
    held.delete(oldest);
  };

  const linesOf = (text: string): string =>
    [...held.values()]
      .filter((one) => one.text === text)
      .map(({ line }) => line)
      .join('');

  return {
    add(note) {
      const { size } = openCheckpoint(note, { id, origin });
      const { text, signatures } = parseNote(note);
      const added: string[] = [];
      for (const signature of signatures) {
        // The key is in the name, so that nobody needs to be introduced; other names mean nothing here.
        const witness = /^witness\/([0-9a-f]{64})$/.exec(signature.name)?.[1];
        if (!witness || witness === id) continue;
        const { time_s } = verifyCosignature(note, { name: signature.name, id: witness });
        const before = held.get(witness);
        if (before && (before.size > size || before.time_s > time_s)) continue;
        makeRoom(witness, time_s);
        held.set(witness, { text, size, time_s, line: signatureLine(signature) });
        added.push(witness);
      }
      const own = noteKeyId({ name: origin, id }, NOTE_ED25519);
      const line = signatures.find(
        ({ name, key_id }) => name === origin && key_id.every((byte, i) => byte === own[i]),
      )!;
      if (added.length > 0) signed.set(text, signatureLine(line));
      for (const old of signed.keys()) if (linesOf(old) === '') signed.delete(old);
      return added;
    },
    join(note) {
      return note + linesOf(parseNote(note).text);
    },
    largest() {
      const [best] = [...held.values()].sort((a, b) => b.size - a.size);
      return best ? `${best.text}\n${signed.get(best.text)}${linesOf(best.text)}` : null;
    },
  };
}
