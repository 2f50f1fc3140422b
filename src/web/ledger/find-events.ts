// Searches the log for matching events, bundle by bundle from a position on, until a page of them is full.
import { TILE_WIDTH } from '../../ledger/tiles.ts';
import { type Entry, fieldsOf, kindOf, type Names, openEntry, sentenceOf } from './event-words.ts';
import type { LedgerQuery } from './query.ts';

/** Shorter beginnings of hashes would match by chance. */
const SHORTEST_HASH = 6;

export interface Found {
  /** Newest first. */
  readonly entries: readonly Entry[];
  /** Whether the search reached the end of the log in that direction. */
  readonly complete: boolean;
}

/** Whether an event matches a query. */
export function matcherOf({ text, kinds }: LedgerQuery, names: Names): (entry: Entry) => boolean {
  const wanted = text.toLowerCase();
  const isHash = new RegExp(`^[0-9a-f]{${SHORTEST_HASH},64}$`).test(wanted);
  return (entry) => {
    const kind = kindOf(entry);
    if (kinds.length === 0 ? kind === 'clock' && text === '' : !(kinds as readonly string[]).includes(kind))
      return false;
    if (wanted === '' || sentenceOf(entry, names).toLowerCase().includes(wanted)) return true;
    if (!isHash) return false;
    const { event } = entry;
    return (
      !!event && [event.id, event.author, ...textsIn(fieldsOf(entry.bytes))].some((value) => value.startsWith(wanted))
    );
  };
}

/** All texts in a body, at any depth. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  return Object.values(value).flatMap(textsIn);
}

/**
 * @param read entries [from, to) of the log
 * @param onProgress called with the index of the event that the search has reached
 * Throws the errors of `read`, and the signal's reason.
 */
export async function findEvents(
  read: (from: number, to: number) => Promise<Uint8Array[]>,
  where: { readonly size: number; readonly at: LedgerQuery['at']; readonly most: number },
  matches: (entry: Entry) => boolean,
  signal: AbortSignal,
  onProgress: (index: number) => void = () => {},
): Promise<Found> {
  const { size, at, most } = where;
  const forward = at !== null && 'from' in at;
  const entries: Entry[] = [];
  let place = forward ? Math.min(at.from, size) : Math.min(at?.before ?? size, size);
  const end = forward ? size : 0;
  while (place !== end && entries.length < most) {
    signal.throwIfAborted();
    const edge = forward
      ? Math.min(size, (Math.floor(place / TILE_WIDTH) + 1) * TILE_WIDTH)
      : Math.floor((place - 1) / TILE_WIDTH) * TILE_WIDTH;
    const [from, to] = forward ? [place, edge] : [edge, place];
    const bytes = await read(from, to);
    const opened = bytes.map((entry, i) => openEntry(entry, from + i)).filter(matches);
    const next = forward ? opened : opened.reverse();
    const taken = next.slice(0, most - entries.length);
    entries.push(...taken);
    place = edge;
    onProgress(place);
    if (taken.length < next.length) return { entries: forward ? entries.reverse() : entries, complete: false };
  }
  signal.throwIfAborted();
  return { entries: forward ? entries.reverse() : entries, complete: place === end };
}
