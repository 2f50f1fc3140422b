// The witnesses' cosignatures of this hub's log: each verified, the latest of each witness, served beside the checkpoint.
import { openCheckpoint, verifyCosignature } from '../ledger/checkpoint.ts';
import { originOf, witnessOf } from '../ledger/key-names.ts';
import {
  NOTE_COSIGNATURE_V1,
  NOTE_ED25519,
  type NoteKey,
  noteKeyId,
  parseNote,
  type SignedNote,
  signatureLine,
  signaturesBy,
} from '../ledger/signed-note.ts';
import { HubError } from './errors.ts';

/** A note takes 64 signatures; half of them are enough. */
const WITNESSES = 32;
/** How many are verified of one posted note: a witness brings its own, a collector a few. Each costs a verification. */
const WITNESSES_A_NOTE = 8;
/** A witness that has been silent for so long makes room for another. */
const SILENT_S = 3600;

interface Cosigned {
  readonly text: string;
  readonly size: number;
  readonly time_s: number;
  readonly line: string;
}

export interface Cosignatures {
  /** Takes the cosignature of a witness that this hub was told to ask, whatever its name. Throws LedgerError `malformed`, `bad-signature`. */
  addBy(note: string, witness: NoteKey): void;
  /** Takes the cosignatures of a note; resolves to the witnesses. Throws LedgerError `malformed`, `bad-signature`; HubError `too-many-witnesses`. */
  add(note: string): string[];
  /** A checkpoint with every cosignature that it has. */
  join(note: string): string;
  /** The largest checkpoint that a witness has cosigned; null where there is none. */
  largest(): string | null;
}

/** The cosignatures of hub `id`'s checkpoints. They are kept in memory, because witnesses come again. */
export function openCosignatures(id: string): Cosignatures {
  const origin = originOf(id);
  const held = new Map<string, Cosigned>();
  /** This hub's own signature lines of the checkpoints with cosignatures. */
  const signed = new Map<string, string>();

  const makeRoom = (newcomer: string, time_s: number): void => {
    if (held.has(newcomer) || held.size < WITNESSES) return;
    const [oldest, { time_s: last_s }] = [...held].sort(([, a], [, b]) => a.time_s - b.time_s)[0];
    if (time_s - last_s < SILENT_S) {
      throw new HubError(
        'too-many-witnesses',
        `this hub keeps the cosignatures of ${WITNESSES} witnesses, and all of them are active`,
      );
    }
    held.delete(oldest);
  };

  const linesOf = (text: string): string =>
    [...held.values()]
      .filter((one) => one.text === text)
      .map(({ line }) => line)
      .join('');

  /** Stores a verified cosignature, unless a later one is stored. */
  const keep = (note: SignedNote, size: number, by: NoteKey, line: string): boolean => {
    const { text, signatures } = note;
    const { time_s } = verifyCosignature(note, by);
    const holder = `${by.name} ${by.id}`;
    const before = held.get(holder);
    if (before && (before.size > size || before.time_s > time_s)) return false;
    makeRoom(holder, time_s);
    held.set(holder, { text, size, time_s, line });
    const own = noteKeyId({ name: origin, id }, NOTE_ED25519);
    const ours = signatures.find(({ name, key_id }) => name === origin && key_id.every((byte, i) => byte === own[i]));
    signed.set(text, signatureLine(ours!));
    for (const old of signed.keys()) if (linesOf(old) === '') signed.delete(old);
    return true;
  };

  return {
    add(note) {
      const parsed = parseNote(note);
      // The key is in the name, so no list of witnesses is needed; other names are ignored.
      const by = parsed.signatures.flatMap((signature) => {
        const witness = witnessOf(signature.name);
        return witness && witness !== id ? [{ witness, signature }] : [];
      });
      if (by.length > WITNESSES_A_NOTE) {
        const message = `expected at most ${WITNESSES_A_NOTE} cosignatures in one note, got ${by.length}`;
        throw new HubError('too-many-witnesses', message);
      }
      const { size } = openCheckpoint(note, { id, origin });
      return by
        .filter(({ witness, signature }) =>
          keep(parsed, size, { name: signature.name, id: witness }, signatureLine(signature)),
        )
        .map(({ witness }) => witness);
    },
    addBy(note, witness) {
      const { size } = openCheckpoint(note, { id, origin });
      const parsed = parseNote(note);
      const lines = signaturesBy(parsed, witness, NOTE_COSIGNATURE_V1).map(signatureLine);
      keep(parsed, size, witness, lines.join(''));
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
