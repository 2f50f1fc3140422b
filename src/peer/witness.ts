// A witness (c2sp.org/tlog-witness): remembers the last head of a log, lets it only grow, and puts its name to what it saw.
//
// It asks the log for tiles and makes the consistency proof itself, so that a hub needs to offer nothing but its public files.
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Checkpoint, cosignCheckpoint, openCheckpoint } from '../ledger/checkpoint.ts';
import { LedgerError } from '../ledger/errors.ts';
import { consistencyProof, equalHashes, HASH_BYTES, rootAt, verifyConsistency } from '../ledger/merkle.ts';
import { MAX_NOTE_BYTES, type NoteKey, toBase64 } from '../ledger/signed-note.ts';
import { nodesFromTiles, TILE_WIDTH, TileNodes } from '../ledger/tiles.ts';
import type { Identity } from '../protocol/identity.ts';
import { bareCheckpoint } from './certificate-event.ts';
import { reasonOf } from './line.ts';
import { OwnershipError } from './ownership-errors.ts';
import type { PublicLog } from './public-log.ts';

/** What a witness reads of a log. */
export type WitnessedLog = Pick<PublicLog, 'hub' | 'head' | 'tile'>;

const SEND_MS = 10_000;

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

/** A witness's name in its cosignatures: the key is in it, so that anybody can check them. */
export function witnessName(id: string): string {
  return `witness/${id}`;
}

/** The file with the last head that a witness has cosigned, in its folder. */
export function witnessFile(folder: string, hub: string): string {
  return join(folder, `${hub}.checkpoint`);
}

/**
 * Looks at a log once: verifies that it continues what this witness saw last, cosigns its head and keeps that on disk before anybody
 * hears of it. The first head of a log is taken as it is.
 * @returns the cosigned note, its size, and the size before (null at first sight)
 * Throws Misbehaviour (a fork, or a log that became shorter), OwnershipError `bad-log` (tiles that do not fit the log's own head).
 */
export async function witnessOnce(
  log: WitnessedLog,
  witness: Identity,
  folder: string,
  time_s: number,
): Promise<{ readonly note: string; readonly size: number; readonly before: number | null }> {
  const { hub, head } = log;
  if (!head) throw new OwnershipError('bad-log', 'the hub has signed no checkpoint yet');
  const file = witnessFile(folder, hub);
  const found = await readKept(file, { name: `potluck/${hub}`, id: hub });
  const kept = found && { ...found, note: bareCheckpoint(found.note, hub) };
  const now = bareCheckpoint(head.note, hub);
  if (kept) await verifyContinuation(log, kept, { note: now, size: head.size, root: head.root });
  const note = await cosignCheckpoint(witness, witnessName(witness.id), now, time_s);
  await writeDurably(file, note);
  return { note, size: head.size, before: kept?.size ?? null };
}

interface Head {
  readonly note: string;
  readonly size: number;
  readonly root: Uint8Array;
}

async function verifyContinuation(log: WitnessedLog, kept: Head, now: Head): Promise<void> {
  const { hub } = log;
  const proof = { hub, before: kept.note, now: now.note, consistency_proof: null };
  if (now.size < kept.size) {
    throw new Misbehaviour(`the log had ${kept.size} entries and now has ${now.size}: it was rolled back`, proof);
  }
  if (now.size === kept.size) {
    if (equalHashes(now.root, kept.root)) return;
    throw new Misbehaviour(`the hub has signed two different logs of ${now.size} entries: it has forked`, proof);
  }
  const hashes = await withTiles(log, now.size, (node) => {
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

/** Runs a computation over the tiles of a tree, fetching those that it turns out to need: a handful, whatever the size. */
async function withTiles<T>(
  log: WitnessedLog,
  size: number,
  compute: (node: ReturnType<typeof nodesFromTiles>) => T,
): Promise<T> {
  const tiles = new Map<string, TileNodes>();
  let missing: { level: number; index: number } | null = null;
  const node = nodesFromTiles((level, index) => {
    const tile = tiles.get(`${level} ${index}`);
    if (tile) return tile;
    missing = { level, index };
    throw new LedgerError('out-of-range', 'a tile to be fetched');
  });
  for (;;) {
    missing = null;
    try {
      return compute(node);
    } catch (error) {
      const wanted = missing as { level: number; index: number } | null;
      if (!wanted) throw error;
      const { level, index } = wanted;
      const width = Math.min(TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level) - index * TILE_WIDTH);
      const bytes = await log.tile(level, index, width);
      if (bytes?.length !== width * HASH_BYTES) {
        throw new OwnershipError(
          'bad-log',
          `expected tile ${index} of level ${level} with ${width} hashes, got ${bytes?.length ?? 'no'} bytes`,
        );
      }
      tiles.set(`${level} ${index}`, TileNodes.fromBytes(bytes));
    }
  }
}

/** The head of a log that a witness cosigned last; null: none. Throws OwnershipError `malformed` where its file is damaged. */
export async function readKept(file: string, log: NoteKey): Promise<(Head & Checkpoint) | null> {
  let note: string;
  try {
    note = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    if (note.length > MAX_NOTE_BYTES) throw new LedgerError('malformed', `${note.length} bytes`);
    const { size, root, origin } = openCheckpoint(note, { id: log.id, origin: log.name });
    return { note, size, root, origin };
  } catch (error) {
    if (!(error instanceof LedgerError || error instanceof OwnershipError)) throw error;
    // To begin anew here would let a hub that can damage this file rewrite its log.
    throw new OwnershipError(
      'malformed',
      `${file} is damaged; a witness that has forgotten what it saw must say so: remove it by hand`,
    );
  }
}

/** Whole or not at all, and on disk before a signature leaves this machine. */
export async function writeDurably(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const aside = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    const handle = await open(aside, 'wx');
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(aside, file);
  } finally {
    await rm(aside, { force: true });
  }
}

/** Hands a cosigned checkpoint to the hub. False where the hub takes none. Throws OwnershipError `bad-log` when it is unreachable. */
export async function sendCosignature(url: string, note: string): Promise<boolean> {
  try {
    const response = await fetch(new URL('/log/cosignature', url), {
      method: 'POST',
      body: note,
      headers: { 'content-type': 'text/plain' },
      signal: AbortSignal.timeout(SEND_MS),
    });
    await response.body?.cancel();
    return response.ok;
  } catch (error) {
    throw new OwnershipError('bad-log', `the hub at ${url} could not be given the cosignature: ${reasonOf(error)}`);
  }
}
