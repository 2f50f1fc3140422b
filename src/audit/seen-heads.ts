// The heads of a hub's log that a peer saw. Each must continue those before it, and the peer signs the newest one into its events.
//
// A hub carries every message, so it could separate two groups of peers and show each another log. It cannot change what peers sign. Because
// their events contain the head that each of them saw (fork consistency, after SUNDR, Li et al., OSDI 2004), two separated histories can
// never be joined again, and anybody who replays one of them finds an author who saw the other.
import { bytesToHex } from '@noble/hashes/utils.js';
import { z } from 'zod';
import type { SeenHead } from '../core/events/fields.ts';
import type { EventBody } from '../core/events.ts';
import { CodedError } from '../errors.ts';
import type { Drawer } from '../games/drawer.ts';
import { openCheckpoint, takeApart } from '../ledger/checkpoint.ts';
import { LedgerError } from '../ledger/errors.ts';
import { originOf } from '../ledger/key-names.ts';
import { equalHashes } from '../ledger/merkle.ts';
import type { Receipt } from '../ledger/receipt.ts';
import { MAX_NOTE_BYTES } from '../ledger/signed-note.ts';
import { tilePath } from '../ledger/tiles.ts';
import type { Clock } from '../protocol/clock.ts';
import { utf8 } from '../protocol/hash.ts';
import { bareCheckpoint } from './certificate-event.ts';
import { type BareHead, Misbehaviour, verifyContinuation, type WitnessedLog } from './continuation.ts';

const LIMITS = {
  kept: 16, // the newest one proves the others, which are kept to compare with what other peers saw
  check_every_ms: 60_000, // a check of the log fetches two or three small files
  failures_told: 3, // a hub that restarts or lags makes one or two checks fail
} as const;

const NoteSchema = z.string().max(MAX_NOTE_BYTES);
const KeptSchema = z.strictObject({
  heads: z.array(z.strictObject({ note: NoteSchema, time_ms: z.int() })).max(LIMITS.kept),
  /** The hub has contradicted itself; the two heads are the evidence. */
  fork: z
    .strictObject({
      message: z.string().max(2000),
      before: NoteSchema,
      now: NoteSchema,
      consistency_proof: z.array(z.string().max(100)).max(100).nullable(),
    })
    .nullable(),
});
type Kept = z.infer<typeof KeptSchema>;

/** A stored head, and when it was seen by this device's clock. */
export interface KeptHead extends BareHead {
  readonly time_ms: number;
}

/** The folder in which a peer stores the heads that it saw, one file for each hub. */
export const HEADS_FOLDER = 'heads';

/** The events that carry the head that their author saw: every join, all work and every verdict. */
const CARRIES_HEAD: readonly EventBody['type'][] = ['peer.joined', 'work.submitted', 'verdict.sealed'];

/** A body with the head that its author saw, if events of its type carry one. */
export function withSeenHead(body: EventBody, seen_head: SeenHead | undefined): EventBody {
  return seen_head && CARRIES_HEAD.includes(body.type) ? ({ ...body, seen_head } as EventBody) : body;
}

/** The head that a body carries. An event without one may have been in the log for long when it is submitted again. */
export function seenHeadOf(body: EventBody): SeenHead | undefined {
  return 'seen_head' in body ? body.seen_head : undefined;
}

export interface HeadKeeper {
  /** The newest head that the hub has signed for this peer; undefined where there is none yet. */
  newest(): SeenHead | undefined;
  /** Takes the verified receipt of an event; `named`: the head that the event carries. */
  saw(receipt: Receipt, named: SeenHead | undefined): void;
  /** Called once, when the hub has contradicted itself. */
  onFork(listener: (fork: Misbehaviour) => void): void;
  /** Resolves when a check of the log that is under way has ended and its result is stored. */
  idle(): Promise<void>;
  /** Also stores the newest head; it will be compared with the log at the next meeting with this hub. */
  close(): Promise<void>;
}

export interface HeadOptions {
  readonly hub: string;
  /** Heads are stored here, by the hub's id. */
  readonly drawer: Drawer;
  /** Opens the log as any anonymous reader gets it. */
  readonly log: () => Promise<WitnessedLog>;
  readonly clock: Clock;
  /** Called when something keeps heads from being compared. */
  readonly onProblem?: (code: 'heads-not-compared', message: string) => void;
}

/** Loads the stored heads of a hub. Throws Misbehaviour where this hub was found before to have contradicted itself. */
export async function openHeads(options: HeadOptions): Promise<HeadKeeper> {
  const { hub, drawer, clock } = options;
  const key = { name: originOf(hub), id: hub };
  const kept = await readKeptHeads(drawer, hub);
  if (kept.fork) throw new Misbehaviour(kept.fork.message, { hub, ...kept.fork });
  const heads: KeptHead[] = [...kept.heads];
  let newest: BareHead | undefined = heads.at(-1);
  let fork: Misbehaviour | null = null;
  let tell = (_: Misbehaviour): void => {};
  let looking: Promise<void> = Promise.resolve();
  // The stored heads are compared with the first head that comes. Without any, the first head is trusted.
  const looks = openLooks(clock, heads.length > 0 ? 0 : null);

  const write = (found: Kept['fork']): Promise<void> => {
    const list = heads.map(({ note, time_ms }) => ({ note, time_ms: Math.floor(time_ms) }));
    return drawer.put(hub, utf8(JSON.stringify({ heads: list, fork: found } satisfies Kept)));
  };

  const keep = async (head: BareHead): Promise<void> => {
    if (heads.at(-1)?.note !== head.note) heads.push({ ...head, time_ms: clock.now_ms() });
    heads.splice(0, heads.length - LIMITS.kept);
    await write(null);
  };

  const convict = (found: Misbehaviour): void => {
    if (fork) return;
    fork = found;
    const { before, now, consistency_proof } = found.proof;
    // If storing fails, the drawer reports it; the participant is told of the misbehaviour in any case.
    const evidence = { before, now, consistency_proof: consistency_proof && [...consistency_proof] };
    looking = looking.then(() => write({ message: found.message, ...evidence })).catch(() => {});
    tell(found);
  };

  const look = async (): Promise<void> => {
    const now = await headNow(await options.log(), hub, newest ? [...heads, newest] : heads);
    if (!newest || now.size > newest.size) newest = now;
    await keep(now);
  };

  const lookWhenDue = (): void => {
    if (fork || !looks.isDue()) return;
    looking = looks.run(look).catch((error) => {
      if (error instanceof Misbehaviour) return convict(error);
      if (looks.failures() !== LIMITS.failures_told) return;
      const message = `the hub's log could not be compared with what this device has seen of it: ${(error as Error).message}`;
      options.onProblem?.('heads-not-compared', message);
    });
  };

  const idle = async (): Promise<void> => {
    for (let before: unknown = null; before !== looking; ) {
      before = looking;
      await looking;
    }
  };

  return {
    newest() {
      if (!newest) return undefined;
      const { size, root, signature } = takeApart(newest.note, key);
      return { size, root: bytesToHex(root), signature: bytesToHex(signature) };
    },
    saw({ checkpoint, index }, named) {
      const head = headOf(checkpoint, hub);
      if (!head) return;
      const message = newest && contradictionOf({ newest, named, head, index });
      if (newest && message) {
        const proof = { hub, before: newest.note, now: head.note, consistency_proof: null };
        return convict(new Misbehaviour(message, proof));
      }
      if (!looks.begun()) {
        looks.begin();
        looking = keep(head).catch(() => {}); // the drawer reports the failure, and the next check stores it
      }
      if (!newest || head.size > newest.size) newest = head;
      lookWhenDue();
    },
    onFork(listener) {
      tell = listener;
    },
    idle,
    async close() {
      await idle();
      if (newest && !fork) await keep(newest);
    },
  };
}

/** Schedules checks of the log, one at a time, `check_every_ms` after the last one began. @param first_ms until the first one; null: not before `begin` */
function openLooks(clock: Clock, first_ms: number | null) {
  let due_ms = first_ms === null ? null : clock.elapsed_ms() + first_ms;
  let busy = false;
  let failures = 0;
  const begin = (): void => {
    due_ms = clock.elapsed_ms() + LIMITS.check_every_ms;
  };
  return {
    begin,
    begun: () => due_ms !== null,
    isDue: () => !busy && due_ms !== null && clock.elapsed_ms() >= due_ms,
    /** How many checks in a row have failed. */
    failures: () => failures,
    /** Rejects if the check fails. */
    async run(look: () => Promise<void>): Promise<void> {
      busy = true;
      begin();
      try {
        await look();
        failures = 0;
      } catch (error) {
        if (!(error instanceof Misbehaviour)) failures++;
        throw error;
      } finally {
        busy = false;
      }
    },
  };
}

/** What a receipt shows, and what was known of the hub's log before it came. */
export interface Heard {
  readonly newest: BareHead;
  /** The head that the event carries: it was signed before the event was in the log. */
  readonly named: SeenHead | undefined;
  /** The head that the hub signed with the receipt, and the event's index. */
  readonly head: BareHead;
  readonly index: number;
}

/** How a receipt by itself proves that the hub contradicted itself, in words; null where it does not. */
export function contradictionOf({ newest, named, head, index }: Heard): string | null {
  if (named && index < named.size) {
    return `the hub has signed ${named.size} entries, and then put a new entry at ${index}: the log was rolled back`;
  }
  if (head.size === newest.size && !equalHashes(head.root, newest.root)) {
    return `the hub has signed two different logs of ${head.size} entries: it has forked`;
  }
  return null;
}

/** The log's current head, as any reader gets it, if it continues all of `before`. Throws Misbehaviour where it does not, or why it cannot tell. */
async function headNow(opened: WitnessedLog, hub: string, before: readonly BareHead[]): Promise<BareHead> {
  const log = rememberingTiles(opened);
  if (log.hub !== hub || !log.head) throw new CodedError('other-hub', 'the log there is not the one of this hub');
  const now = { note: bareCheckpoint(log.head.note, hub), size: log.head.size, root: log.head.root };
  for (const head of before) {
    // A mirror or a cache may lag behind: only a receipt that is out of order proves that the log itself became shorter.
    if (head.size > now.size) throw new CodedError('behind', `its log has ${now.size} entries, ${head.size} were seen`);
    await verifyContinuation(log, head, now);
  }
  return now;
}

/** A cache of tiles, because several proofs about one tree need the same few. */
function rememberingTiles(log: WitnessedLog): WitnessedLog {
  const tiles = new Map<string, Promise<Uint8Array | null>>();
  return {
    hub: log.hub,
    head: log.head,
    tile(level, index, width) {
      const path = tilePath(level, index, width);
      const tile = tiles.get(path) ?? log.tile(level, index, width);
      tiles.set(path, tile);
      return tile;
    },
  };
}

/** The stored heads that carry the hub's signature, oldest first. Damaged ones are treated as missing. */
export async function readKeptHeads(
  drawer: Drawer,
  hub: string,
): Promise<{ readonly heads: readonly KeptHead[]; readonly fork: Kept['fork'] }> {
  const bytes = await drawer.get(hub);
  let value: unknown = null;
  try {
    value = bytes && JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // Not a stored head.
  }
  const parsed = KeptSchema.safeParse(value);
  if (!parsed.success) return { heads: [], fork: null };
  const heads = parsed.data.heads.flatMap(({ note, time_ms }) => {
    const head = headOf(note, hub);
    return head ? [{ ...head, time_ms }] : [];
  });
  return { heads, fork: parsed.data.fork };
}

/** The head in a note, if the hub has signed it. */
export function headOf(note: string, hub: string): BareHead | null {
  try {
    const { size, root } = openCheckpoint(note, { id: hub, origin: originOf(hub) });
    return { note: bareCheckpoint(note, hub), size, root };
  } catch (error) {
    if (error instanceof LedgerError) return null;
    throw error;
  }
}
