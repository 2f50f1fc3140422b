// What this machine's own peers and witness have seen of a hub: receipts and heads in their folders, which an audit reads and never changes.
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openDrawer } from '../games/folder-drawer.ts';
import type { KnownHead } from './heads.ts';
import { OwnershipError } from './ownership-errors.ts';
import { HEADS_FOLDER, headOf, readKeptHeads } from './seen-heads.ts';
import { readKept, witnessFile } from './witness.ts';

const LIMITS = {
  peers: 256, // more folders than one machine has
  files: 64, // receipts of the most recently used runs
} as const;

export interface Testimony {
  /** Files with receipts that this hub has signed, the newest last. */
  readonly receipts: readonly string[];
  readonly heads: readonly KnownHead[];
  /** What could not be read, in sentences. */
  readonly not_compared: readonly string[];
}

/** Gathers it under a person's folder (~/.potluck), from peers/ and witness/. A missing folder is not an error. */
export async function localTestimony(home: string, hub: string): Promise<Testimony> {
  const heads: KnownHead[] = [];
  const receipts: string[] = [];
  const not_compared: string[] = [];
  const peers = await namesIn(join(home, 'peers'));
  for (const peer of peers.slice(0, LIMITS.peers)) {
    const folder = join(home, 'peers', peer);
    const { heads: kept, fork } = await readKeptHeads(openDrawer(join(folder, HEADS_FOLDER)), hub);
    const from = `the peer in ${folder}`;
    heads.push(...kept.map((head) => ({ ...head, from })));
    const forked = fork ? [fork.before, fork.now].map((note) => headOf(note, hub)) : [];
    heads.push(...forked.filter((head) => head !== null).map((head) => ({ ...head, from })));
    for (const run of await namesIn(join(folder, 'runs'))) {
      const file = join(folder, 'runs', run, 'receipts.jsonl');
      if (await isOfHub(file, hub)) receipts.push(file);
    }
  }
  const left_out = receipts.length - LIMITS.files;
  if (left_out > 0) not_compared.push(`${left_out} of ${receipts.length} files of receipts of this machine's peers`);
  try {
    const file = witnessFile(join(home, 'witness'), hub);
    const kept = await readKept(file, { name: `potluck/${hub}`, id: hub });
    if (kept) heads.push({ ...kept, from: `the witness in ${join(home, 'witness')}` });
  } catch (error) {
    if (!(error instanceof OwnershipError)) throw error;
    not_compared.push(error.message);
  }
  return { receipts: receipts.slice(-LIMITS.files), heads, not_compared };
}

const namesIn = (folder: string): Promise<string[]> =>
  readdir(folder).then(
    (names) => names.sort(),
    () => [],
  );

/** Whether the first receipt in a file is signed by this hub. */
async function isOfHub(file: string, hub: string): Promise<boolean> {
  const input = createReadStream(file, { encoding: 'utf8', end: FIRST_LINE_BYTES });
  try {
    for await (const line of createInterface({ input })) return line.includes(`"checkpoint":"potluck/${hub}\\n`);
  } catch {
    // The file is missing or cannot be read.
  } finally {
    input.destroy();
  }
  return false;
}

/** An event in base64 and its receipt. */
const FIRST_LINE_BYTES = 1 << 18;
