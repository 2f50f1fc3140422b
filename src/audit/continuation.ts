// Whether a log's head continues one that its hub signed before (RFC 9162, section 2.1.4), by the log's own tiles; and the proof where it does not.
import { consistencyProof, equalHashes, HASH_BYTES, rootAt, verifyConsistency } from '../ledger/merkle.ts';
import { toBase64 } from '../ledger/signed-note.ts';
import { TileNodes } from '../ledger/tiles.ts';
import { type TileSource, withTiles } from '../ledger/tiles-needed.ts';
import { OwnershipError } from './ownership-errors.ts';
import type { PublicLog } from './public-log.ts';

/** What is read of a watched log. */
export type WitnessedLog = Pick<PublicLog, 'hub' | 'head' | 'tile'>;

/** A head signed by the hub; the note carries no other signature. */
export interface BareHead {
  readonly note: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** The hub has contradicted itself. `proof` convinces anybody who knows the hub's key. */
export class Misbehaviour extends OwnershipError {
  readonly proof: {
    readonly hub: string;
    /** Both heads as the hub signed them: the one seen first, and the one served now. */
    readonly before: string;
    readonly now: string;
    /**
     * Hashes from the newer head's own tiles that lead to the newer root, and to another root than the older head's at its size. null where
     * the two notes alone are the proof.
     */
    readonly consistency_proof: readonly string[] | null;
  };

  constructor(message: string, proof: Misbehaviour['proof']) {
    super('log-rewritten', message);
    this.proof = proof;
  }
}

/**
 * Verifies that `now`, the current head of `log`, continues `kept`.
 * Throws Misbehaviour (a fork, or a log that became shorter), OwnershipError `bad-log` (tiles that do not fit the log's own head).
 */
export async function verifyContinuation(log: WitnessedLog, kept: BareHead, now: BareHead): Promise<void> {
  const proof = { hub: log.hub, before: kept.note, now: now.note, consistency_proof: null };
  if (now.size < kept.size) {
    throw new Misbehaviour(`the log had ${kept.size} entries and now has ${now.size}: it was rolled back`, proof);
  }
  if (now.size === kept.size) {
    if (equalHashes(now.root, kept.root)) return;
    throw new Misbehaviour(`the hub has signed two different logs of ${now.size} entries: it has forked`, proof);
  }
  const hashes = await withTiles(now.size, tilesOf(log), (node) => {
    if (!equalHashes(rootAt(now.size, node), now.root)) return null;
    return { proof: consistencyProof(kept.size, now.size, node), root: rootAt(kept.size, node) };
  });
  if (!hashes)
    throw new OwnershipError('bad-log', `the tiles are not those of the ${now.size} entries that the hub has signed`);
  if (verifyConsistency(kept.size, now.size, hashes.proof, kept.root, now.root)) return;
  throw new Misbehaviour(
    `the first ${kept.size} of ${now.size} entries are not those that the hub signed before: it has forked`,
    { ...proof, consistency_proof: hashes.proof.map(toBase64) },
  );
}

/** The tiles of a log. Throws OwnershipError `bad-log` for a tile that is missing or cut off. */
function tilesOf(log: WitnessedLog): TileSource {
  return async (level, index, width) => {
    const bytes = await log.tile(level, index, width);
    if (bytes?.length === width * HASH_BYTES) return TileNodes.fromBytes(bytes);
    throw new OwnershipError(
      'bad-log',
      `expected tile ${index} of level ${level} with ${width} hashes, got ${bytes?.length ?? 'no'} bytes`,
    );
  };
}
