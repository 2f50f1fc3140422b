// The public log as this browser reads it: the hub serves static files, and this code verifies everything that it uses of them.
import { concatBytes } from '@noble/hashes/utils.js';
import { CodedError } from '../../errors.ts';
import { type Checkpoint, openCheckpoint } from '../../ledger/checkpoint.ts';
import { LedgerError } from '../../ledger/errors.ts';
import { originOf } from '../../ledger/key-names.ts';
import { consistencyProof, inclusionProof, leafHash, verifyConsistency, verifyInclusion } from '../../ledger/merkle.ts';
import { decodeEntryBundle, entriesPath, TILE_WIDTH, TileNodes, tilePath } from '../../ledger/tiles.ts';
import { type TileSource, withTiles } from '../../ledger/tiles-needed.ts';

/** How many tiles are cached: the path from an event to the root needs at most seven of them. */
const TILES_KEPT = 64;
/** How many bundles of entries are cached: pages of a list, and a repeated search. */
const BUNDLES_KEPT = 256;

/** The hub, or something in between, did not deliver. That says nothing about the log. */
export class LogAway extends CodedError<'unreachable'> {}

/** The log's head, whose signature by the hub has been verified. */
export interface Head extends Checkpoint {
  /** The number of heads that this page has seen, each of which continues the one before it. */
  readonly seen: number;
}

/** The path from an event up to the head's root. */
export interface Inclusion {
  readonly leaf: Uint8Array;
  readonly path: readonly Uint8Array[];
  readonly head: Head;
  readonly holds: boolean;
}

export interface LogReader {
  /** The newest head. Throws LedgerError when it is not signed by the hub or rewrites the one before; LogAway. */
  refresh(): Promise<Head>;
  /** Entries [from, to), at most a few hundred. Throws LedgerError, LogAway. */
  entries(from: number, to: number): Promise<Uint8Array[]>;
  /** Proves that an entry has its index, by tiles that are downloaded for it. Throws LedgerError, LogAway. */
  prove(entry: Uint8Array, index: number): Promise<Inclusion>;
}

/** Notes that the hub has signed, stored across visits: the next head must continue each of them. */
export interface HeadMemory {
  read(): readonly string[];
  write(notes: readonly string[]): void;
}

/** The entries of a bundle, as far as they were downloaded. */
interface Bundle {
  readonly entries: readonly Uint8Array[];
  readonly size_bytes: number;
}

/** Reads the log of a hub at an address. `hub` is its id; signatures of other keys do not count. */
export function openLogReader(
  url: string,
  hub: string,
  fetchFrom: typeof fetch = (...args) => fetch(...args),
  memory?: HeadMemory,
): LogReader {
  const tiles = new Map<string, Promise<Uint8Array>>();
  const bundles = new Map<number, Promise<Bundle>>();
  let head: Head | null = null;

  const get = async (path: string, from_byte = 0): Promise<{ bytes: Uint8Array; whole: boolean }> => {
    let response: Response;
    try {
      // The growing tiles get new names with each head, so caching them on disk would only fill it.
      const init = from_byte > 0 ? { headers: { range: `bytes=${from_byte}-` }, cache: 'no-store' as const } : {};
      response = await fetchFrom(`${url}/log/${path}`, init);
      if (response.ok) return { bytes: new Uint8Array(await response.arrayBuffer()), whole: response.status !== 206 };
    } catch {
      throw new LogAway('unreachable', 'the hub did not answer');
    }
    throw new LogAway('unreachable', `the hub answered ${response.status} instead of /log/${path}`);
  };

  const tile = (path: string): Promise<Uint8Array> =>
    remembered(tiles, path, TILES_KEPT, async () => (await get(path)).bytes);

  /** At least the first `count` entries of a bundle; of one that has grown only the rest is downloaded. */
  const bundle = async (index: number, count: number): Promise<Bundle> => {
    const before = await bundles.get(index)?.catch(() => null);
    if (before && before.entries.length >= count) return before;
    bundles.delete(index);
    const load = async (known: Bundle | null): Promise<Bundle> => {
      const { bytes, whole } = await get(entriesPath(index, count), known?.size_bytes);
      if (whole || !known) return { entries: decodeEntryBundle(bytes, count), size_bytes: bytes.length };
      const added = decodeEntryBundle(bytes, count - known.entries.length);
      return { entries: [...known.entries, ...added], size_bytes: known.size_bytes + bytes.length };
    };
    return remembered(bundles, index, BUNDLES_KEPT, async () => {
      try {
        return await load(before ?? null);
      } catch (error) {
        // The entries that were served before do not fit the new ones.
        if (!before || !(error instanceof LedgerError)) throw error;
        return load(null);
      }
    });
  };

  /** The lowest tiles are the hashes of entries, so where those are cached, nothing is downloaded. */
  const tileOfEntries: TileSource = async (level, index, width) => {
    if (level > 0 || !bundles.has(index)) return tileOfHub(level, index, width);
    const { entries } = await bundle(index, width);
    return TileNodes.fromBytes(concatBytes(...entries.slice(0, width).map(leafHash)));
  };
  const tileOfHub: TileSource = async (level, index, width) =>
    TileNodes.fromBytes(await tile(tilePath(level, index, width)));

  const open = (note: string): Checkpoint => openCheckpoint(note, { id: hub, origin: originOf(hub) });
  /** The heads of earlier visits, until a head has been shown to continue them. */
  const seenBefore = (): Checkpoint[] =>
    (memory?.read() ?? []).flatMap((note) => {
      try {
        return [open(note)];
      } catch (error) {
        if (error instanceof LedgerError) return []; // it is of another version, or damaged
        throw error;
      }
    });

  const refresh = async (): Promise<Head> => {
    const note = new TextDecoder().decode((await get('checkpoint')).bytes);
    const next = open(note);
    try {
      for (const before of head ? [head] : seenBefore()) await mustContinue(before, next);
    } catch (error) {
      // Both are stored: what the hub has signed is evidence against it, whatever it shows later.
      if (error instanceof LedgerError) memory?.write([...new Set([...memory.read(), note])]);
      throw error;
    }
    memory?.write([note]);
    return setHead(next);
  };

  const mustContinue = async (before: Checkpoint, next: Checkpoint): Promise<void> => {
    if (next.size < before.size) {
      throw new LedgerError('malformed', `the log had ${before.size} events before, now the hub signs ${next.size}`);
    }
    const continues = async (source: TileSource): Promise<boolean> => {
      const { size, root } = before;
      const proof = await withTiles(next.size, source, (node) => consistencyProof(size, next.size, node));
      return verifyConsistency(size, next.size, proof, root, next.root);
    };
    if (await continues(tileOfEntries)) return;
    // The cached entries were not proved: the hub's own tiles decide, and those are downloaded again.
    bundles.clear();
    if (await continues(tileOfHub)) return;
    throw new LedgerError('malformed', `the hub has signed two histories of its first ${before.size} events`);
  };
  const setHead = (next: Checkpoint): Head => {
    head = { ...next, seen: (head?.seen ?? 0) + (head?.size === next.size ? 0 : 1) };
    return head;
  };

  return {
    refresh,
    async entries(from, to) {
      const { size } = head ?? (await refresh());
      const list: Uint8Array[] = [];
      for (let index = Math.floor(from / TILE_WIDTH); index * TILE_WIDTH < Math.min(to, size); index++) {
        const first = index * TILE_WIDTH;
        const { entries } = await bundle(index, Math.min(TILE_WIDTH, size - first));
        list.push(...entries.slice(Math.max(0, from - first), Math.min(to, size) - first));
      }
      return list;
    },
    async prove(entry, index) {
      const at = head && index < head.size ? head : await refresh();
      const leaf = leafHash(entry);
      const path = await withTiles(at.size, tileOfHub, (node) => inclusionProof(index, at.size, node));
      return { leaf, path, head: at, holds: verifyInclusion(leaf, index, at.size, path, at.root) };
    },
  };
}

/** A cache of a limited number of results; the oldest are dropped, and failures are not cached. */
function remembered<K, V>(map: Map<K, Promise<V>>, key: K, most: number, load: () => Promise<V>): Promise<V> {
  const known = map.get(key);
  if (known) return known;
  const loading = load();
  map.set(key, loading);
  loading.catch(() => map.get(key) === loading && map.delete(key));
  if (map.size > most) map.delete(map.keys().next().value!);
  return loading;
}
