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
import { NO_POST, type Post } from './cluster/post.ts';
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

/**
 * The cosignatures of hub `id`'s checkpoints. They are kept in memory, because witnesses come again.
 * @param post tells the other processes of this hub
 */
export function openCosignatures(id: string, post: Post = NO_POST): Cosignatures {
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

  /** @returns whether any is new */
  const keepBy = (note: string, witness: NoteKey): boolean => {
    const { size } = openCheckpoint(note, { id, origin });
    const parsed = parseNote(note);
    const lines = signaturesBy(parsed, witness, NOTE_COSIGNATURE_V1).map(signatureLine);
    return keep(parsed, size, witness, lines.join(''));
  };
  const keepNamed = (note: string): string[] => {
    const parsed = parseNote(note);
    const by = namedWitnesses(parsed, id);
    const { size } = openCheckpoint(note, { id, origin });
    return by
      .filter(({ witness, signature }) =>
        keep(parsed, size, { name: signature.name, id: witness }, signatureLine(signature)),
      )
      .map(({ witness }) => witness);
  };
  post.listen((word) => {
    if (word.kind !== 'cosigned') return;
    try {
      if (word.witness) keepBy(word.note, word.witness);
      else keepNamed(word.note);
    } catch (error) {
      // Which witnesses a process has no room for is its own matter.
      if (!(error instanceof HubError && error.code === 'too-many-witnesses')) throw error;
    }
  });

  return {
    add(note) {
      const witnesses = keepNamed(note);
      if (witnesses.length > 0) post.send({ kind: 'cosigned', note, witness: null });
      return witnesses;
    },
    addBy(note, witness) {
      const { name, id: key } = witness;
      if (keepBy(note, witness)) post.send({ kind: 'cosigned', note, witness: { name, id: key } });
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

/** Whoever has cosigned a note under a name that has its key in it. Throws HubError `too-many-witnesses`. */
function namedWitnesses({ signatures }: SignedNote, hub: string) {
  // The key is in the name, so no list of witnesses is needed; other names are ignored.
  const by = signatures.flatMap((signature) => {
    const witness = witnessOf(signature.name);
    return witness && witness !== hub ? [{ witness, signature }] : [];
  });
  if (by.length <= WITNESSES_A_NOTE) return by;
  const message = `expected at most ${WITNESSES_A_NOTE} cosignatures in one note, got ${by.length}`;
  throw new HubError('too-many-witnesses', message);
}
