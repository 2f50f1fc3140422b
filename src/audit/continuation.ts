// Whether a log's head continues one that its hub has signed before (RFC 9162, section 2.1.4), from the log's own tiles; and the proof where it does not.
import { consistencyProof, equalHashes, HASH_BYTES, rootAt, verifyConsistency } from '../ledger/merkle.ts';
import { toBase64 } from '../ledger/signed-note.ts';
import { TileNodes } from '../ledger/tiles.ts';
import { type TileSource, withTiles } from '../ledger/tiles-needed.ts';
import { OwnershipError } from './ownership-errors.ts';
import type { PublicLog } from './public-log.ts';

/** What is read of a log that is watched. */
export type WitnessedLog = Pick<PublicLog, 'hub' | 'head' | 'tile'>;

/** A head with the hub's signature, and no other, below it. */
export interface BareHead {
  readonly note: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** A hub has contradicted itself. `proof` convinces whoever knows the hub's key. */
export class Misbehaviour extends OwnershipError {
  readonly proof: {
    readonly hub: string;
    /** Both heads, as the hub has signed them: what was seen first, and what is served now. */
    readonly before: string;
    readonly now: string;
    /**
     * From the newer head's own tiles: hashes that lead to the newer root, and to another root than the older head's at its size. Null
     * where the two notes speak for themselves.
     */
    readonly consistency_proof: readonly string[] | null;
  };

  constructor(message: string, proof: Misbehaviour['proof']) {
    super('log-rewritten', message);
    this.proof = proof;
  }
}

/**
 * Verifies that `now`, the head of `log`, continues `kept`.
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
    `the first ${kept.size} of ${now.size} entries are not those that the hub has signed before: it has forked`,
    { ...proof, consistency_proof: hashes.proof.map(toBase64) },
  );
}

/** The tiles of somebody's log. Throws OwnershipError `bad-log` for one that is cut off or not there. */
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
