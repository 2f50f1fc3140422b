// A witness (c2sp.org/tlog-witness): remembers the last head of a log, checks that the log only grows, and cosigns what it saw.
//
// It fetches the log's tiles and makes the consistency proof itself, so a hub needs to offer nothing but its public files.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Checkpoint, cosignCheckpoint, openCheckpoint } from '../ledger/checkpoint.ts';
import { LedgerError } from '../ledger/errors.ts';
import { originOf, witnessName } from '../ledger/key-names.ts';
import { MAX_NOTE_BYTES, type NoteKey } from '../ledger/signed-note.ts';
import type { Identity } from '../protocol/identity.ts';
import { reasonOf } from '../protocol/line.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import { bareCheckpoint } from './certificate-event.ts';
import { type BareHead, verifyContinuation, type WitnessedLog } from './continuation.ts';
import { OwnershipError } from './ownership-errors.ts';

const SEND_MS = 10_000;

/** The file in the witness's folder with the last head that it cosigned. */
export function witnessFile(folder: string, hub: string): string {
  return join(folder, `${hub}.checkpoint`);
}

/**
 * Checks a log once: verifies that it continues what this witness saw last, cosigns its head, and stores that on disk before publishing it.
 * The first head of a log is trusted.
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
  const found = await readKept(file, { name: originOf(hub), id: hub });
  const kept = found && { ...found, note: bareCheckpoint(found.note, hub) };
  const now = bareCheckpoint(head.note, hub);
  if (kept) await verifyContinuation(log, kept, { note: now, size: head.size, root: head.root });
  const note = await cosignCheckpoint(witness, witnessName(witness.id), now, time_s);
  await writeWhole(file, note, { durable: true }); // before a signature leaves this machine
  return { note, size: head.size, before: kept?.size ?? null };
}

/** The head of a log that a witness cosigned last; null where there is none. Throws OwnershipError `malformed` for a damaged file. */
export async function readKept(file: string, log: NoteKey): Promise<(BareHead & Checkpoint) | null> {
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
    // If the witness started afresh here, a hub that can damage this file could rewrite its log.
    throw new OwnershipError(
      'malformed',
      `${file} is damaged, so this witness does not know what it cosigned: remove the file by hand to start afresh`,
    );
  }
}

/** Sends a cosigned checkpoint to the hub. False where the hub accepts none. Throws OwnershipError `bad-log` when it is unreachable. */
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
