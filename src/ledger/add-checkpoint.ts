// The add-checkpoint exchange between a log and a witness (c2sp.org/tlog-witness): the request, the answers, and the witness's rules.
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { LedgerError } from './errors.ts';
import { equalHashes, HASH_BYTES, verifyConsistency } from './merkle.ts';
import { fromBase64, MAX_NOTE_BYTES, type NoteKey, parseNote, toBase64 } from './signed-note.ts';

/** The media type of an answer that states the witness's own size, in decimal, because the request's old size is another. */
export const SIZE_TYPE = 'text/x.tlog.size';
const MAX_PROOF_LINES = 63;
export const MAX_REQUEST_BYTES = MAX_NOTE_BYTES + 4096;

export interface AddCheckpoint {
  readonly old_size: number;
  readonly proof: readonly Uint8Array[];
  /** The checkpoint with its signatures. */
  readonly note: string;
}

export function writeAddCheckpoint({ old_size, proof, note }: AddCheckpoint): string {
  return `${[`old ${old_size}`, ...proof.map(toBase64)].join('\n')}\n\n${note}`;
}

/** Throws LedgerError `malformed`. */
export function parseAddCheckpoint(text: string): AddCheckpoint {
  const blank = text.indexOf('\n\n');
  const [first, ...lines] = text.slice(0, Math.max(0, blank)).split('\n');
  const old_size = Number(/^old (0|[1-9]\d{0,15})$/.exec(first)?.[1] ?? Number.NaN);
  const proof = lines.map(fromBase64).filter((hash) => hash?.length === HASH_BYTES) as Uint8Array[];
  const wellFormed = Number.isSafeInteger(old_size) && proof.length === lines.length && lines.length <= MAX_PROOF_LINES;
  if (blank >= 0 && wellFormed) return { old_size, proof, note: text.slice(blank + 2) };
  throw new LedgerError(
    'malformed',
    `add-checkpoint: expected "old" and a size, at most ${MAX_PROOF_LINES} hashes in base64, an empty line and a checkpoint`,
  );
}

/** The answer of a witness that does not cosign. */
export interface Refusal {
  readonly status: 400 | 403 | 404 | 409 | 422;
  /** The size of the latest checkpoint that it cosigned, where the request's old size is another. */
  readonly size: number | null;
  readonly message: string;
}

/**
 * Whether a witness may cosign the checkpoint of a request: the checks of the specification, in its order.
 * @param logs the logs that the witness knows, each by its origin and key
 * @param latestOf the latest checkpoint that it cosigned for an origin; null where there is none
 */
export async function judgeCheckpoint(
  { old_size, proof, note }: AddCheckpoint,
  logs: readonly NoteKey[],
  latestOf: (log: NoteKey) => Promise<Checkpoint | null>,
): Promise<{ readonly log: NoteKey; readonly checkpoint: Checkpoint } | Refusal> {
  const no = (status: Refusal['status'], message: string, size: number | null = null) => ({ status, size, message });
  const { text } = parseNote(note);
  const origin = text.slice(0, text.indexOf('\n'));
  const keys = logs.filter(({ name }) => name === origin);
  if (keys.length === 0) return no(404, `no log ${origin.slice(0, 120)} is known here`);
  const log = keys.find(({ id }) => isSignedBy(note, { id, origin }));
  if (!log) return no(403, 'no signature by a key of this log');
  const checkpoint = openCheckpoint(note, { id: log.id, origin });
  if (old_size > checkpoint.size) return no(400, `old ${old_size} is beyond the checkpoint's ${checkpoint.size}`);
  const latest = await latestOf(log);
  const known = latest?.size ?? 0;
  if (old_size !== known) return no(409, `the latest checkpoint here has ${known} entries`, known);
  if (latest && old_size === checkpoint.size) {
    if (!equalHashes(latest.root, checkpoint.root)) return no(409, 'another root at the same size', known);
  }
  const follows =
    old_size === 0
      ? proof.length === 0
      : latest !== null && verifyConsistency(old_size, checkpoint.size, proof, latest.root, checkpoint.root);
  return follows ? { log, checkpoint } : no(422, `the proof does not lead from ${old_size} to ${checkpoint.size}`);
}

function isSignedBy(note: string, log: { readonly id: string; readonly origin: string }): boolean {
  try {
    openCheckpoint(note, log);
    return true;
  } catch (error) {
    if (error instanceof LedgerError && error.code === 'bad-signature') return false;
    throw error;
  }
}
