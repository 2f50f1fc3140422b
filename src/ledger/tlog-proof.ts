// C2SP transparency log proofs (c2sp.org/tlog-proof@v1, section "Format"): one text that proves offline that an entry is in a log.
import { openCheckpoint } from './checkpoint.ts';
import { LedgerError } from './errors.ts';
import { HASH_BYTES, leafHash, MAX_PROOF_HASHES, verifyInclusion } from './merkle.ts';
import { fromBase64, MAX_NOTE_BYTES, toBase64 } from './signed-note.ts';

const FIRST_LINE = 'c2sp.org/tlog-proof@v1';
/** The longest entry is 65,535 bytes (C2SP tlog-tiles), in base64 as extra data. */
const MAX_EXTRA_TEXT_BYTES = 4 * Math.ceil(65_535 / 3);
const MAX_PROOF_TEXT_BYTES = MAX_NOTE_BYTES + MAX_EXTRA_TEXT_BYTES + 65_536;

export interface TlogProof {
  readonly index: number;
  /** The sibling hashes, from the leaf's sibling up to a child of the root. */
  readonly proof: readonly Uint8Array[];
  /** The checkpoint with its signatures, as it stands in the proof. */
  readonly note: string;
  /** Extra data of the proof's maker; it proves nothing by itself. A hub puts the entry here. */
  readonly extra?: Uint8Array;
}

/** Files of this form end with `.tlog-proof`. */
export function writeTlogProof({ index, proof, note, extra }: TlogProof): string {
  const added = extra ? [`extra ${toBase64(extra)}`] : [];
  return `${[FIRST_LINE, ...added, `index ${index}`, ...proof.map(toBase64)].join('\n')}\n\n${note}`;
}

/** Parses a proof. Do not believe anything in it before verifying it, and never the extra data. Throws LedgerError `malformed`. */
export function parseTlogProof(text: string): TlogProof {
  if (text.length > MAX_PROOF_TEXT_BYTES) throw malformed(`at most ${MAX_PROOF_TEXT_BYTES} bytes, got ${text.length}`);
  const blank = text.indexOf('\n\n');
  if (blank < 0) throw malformed('an empty line before the checkpoint');
  const [first, ...rest] = text.slice(0, blank).split('\n');
  if (first !== FIRST_LINE) throw malformed(`"${FIRST_LINE}" in the first line`);
  const extra = rest[0]?.startsWith('extra ') ? fromBase64(rest.shift()!.slice('extra '.length)) : undefined;
  if (extra === null) throw malformed('extra data in base64');
  const index = /^index (0|[1-9]\d{0,15})$/.exec(rest[0] ?? '')?.[1];
  if (index === undefined || !Number.isSafeInteger(Number(index))) throw malformed('"index" and a number');
  const hashes = rest.slice(1).map(fromBase64);
  const proof = hashes.filter((hash) => hash?.length === HASH_BYTES) as Uint8Array[];
  if (proof.length !== hashes.length || proof.length > MAX_PROOF_HASHES) {
    throw malformed(`at most ${MAX_PROOF_HASHES} hashes of ${HASH_BYTES} bytes in base64`);
  }
  return { index: Number(index), proof, note: text.slice(blank + 2), ...(extra && { extra }) };
}

/**
 * Checks that the log with this key has signed a tree that contains the entry.
 * Throws LedgerError `malformed`, `bad-signature`, `bad-proof`.
 */
export function verifyTlogProof(
  text: string,
  entry: Uint8Array,
  log: { readonly id: string; readonly origin?: string },
): { readonly index: number; readonly size: number } {
  const { index, proof, note } = parseTlogProof(text);
  const { size, root } = openCheckpoint(note, log);
  if (verifyInclusion(leafHash(entry), index, size, proof, root)) return { index, size };
  throw new LedgerError('bad-proof', `the proof does not show this entry at index ${index} of ${size}`, {
    index,
    size,
  });
}

const malformed = (expected: string): LedgerError => new LedgerError('malformed', `tlog-proof: expected ${expected}`);
