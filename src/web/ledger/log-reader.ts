// The public log as this browser reads it: the hub serves static files, and everything that is believed of them is checked here.
import { type Checkpoint, openCheckpoint } from '../../ledger/checkpoint.ts';
import { LedgerError } from '../../ledger/errors.ts';
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  type NodeReader,
  verifyConsistency,
  verifyInclusion,
} from '../../ledger/merkle.ts';
import { decodeEntryBundle, entriesPath, nodesFromTiles, TILE_WIDTH, TileNodes, tilePath } from '../../ledger/tiles.ts';

/** Tiles and bundles that are kept: the way from an event to the root is at most seven tiles. */
const KEPT = 64;

/** The log's head, whose signature by the hub has been verified. */
export interface Head extends Checkpoint {
  /** Heads that this page has seen, each of which was shown to continue the one before it. */
  readonly seen: number;
}

/** The way from an event up to the head's root. */
export interface Inclusion {
  readonly leaf: Uint8Array;
  readonly path: readonly Uint8Array[];
  readonly head: Head;
  readonly holds: boolean;
}

export interface LogReader {
  /** The newest head. Throws LedgerError when it is not signed by the hub or rewrites the one before. */
  refresh(): Promise<Head>;
  /** Entries [from, to), at most a few hundred. Throws LedgerError. */
  entries(from: number, to: number): Promise<Uint8Array[]>;
  /** Proves that an entry stands at its place, from tiles that are fetched for it. Throws LedgerError. */
  prove(entry: Uint8Array, index: number): Promise<Inclusion>;
}

/** Reads the log of a hub at an address. `hub` is its id: no other key's signature counts. */
export function openLogReader(url: string, hub: string): LogReader {
  const files = new Map<string, Promise<Uint8Array>>();
  let head: Head | null = null;

  const file = (path: string): Promise<Uint8Array> => {
    let bytes = files.get(path);
    if (!bytes) {
      bytes = get(`${url}/log/${path}`);
      files.set(path, bytes);
      bytes.catch(() => files.delete(path));
      if (files.size > KEPT) files.delete(files.keys().next().value!);
    }
    return bytes;
  };

  /** Computes with the nodes of a tree of some size, fetching the tiles that turn out to be needed. */
  const withTiles = async <T>(size: number, compute: (node: NodeReader) => T): Promise<T> => {
    const tiles = new Map<string, TileNodes>();
    for (;;) {
      const missing: string[] = [];
      const node = nodesFromTiles((level, index) => {
        const width = Math.min(TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level) - index * TILE_WIDTH);
        const path = tilePath(level, index, width);
        const tile = tiles.get(path);
        if (tile) return tile;
        missing.push(path);
        throw new Missing();
      });
      try {
        return compute(node);
      } catch (error) {
        if (!(error instanceof Missing)) throw error;
        for (const path of missing) tiles.set(path, TileNodes.fromBytes(await file(path)));
      }
    }
  };

  const refresh = async (): Promise<Head> => {
    const note = new TextDecoder().decode(await get(`${url}/log/checkpoint`));
    const next = openCheckpoint(note, { id: hub, origin: `potluck/${hub}` });
    const before = head;
    if (before && next.size < before.size) {
      throw new LedgerError('malformed', `the log had ${before.size} events before, now the hub signs ${next.size}`);
    }
    if (before) {
      const proof = await withTiles(next.size, (node) => consistencyProof(before.size, next.size, node));
      if (!verifyConsistency(before.size, next.size, proof, before.root, next.root)) {
        throw new LedgerError('malformed', `the hub has signed two histories of its first ${before.size} events`);
      }
    }
    head = { ...next, seen: (before?.seen ?? 0) + (before?.size === next.size ? 0 : 1) };
    return head;
  };

  return {
    refresh,
    async entries(from, to) {
      const { size } = head ?? (await refresh());
      const list: Uint8Array[] = [];
      for (let bundle = Math.floor(from / TILE_WIDTH); bundle * TILE_WIDTH < Math.min(to, size); bundle++) {
        const first = bundle * TILE_WIDTH;
        const count = Math.min(TILE_WIDTH, size - first);
        const entries = decodeEntryBundle(await file(entriesPath(bundle, count)), count);
        list.push(...entries.slice(Math.max(0, from - first), to - first));
      }
      return list;
    },
    async prove(entry, index) {
      const at = head && index < head.size ? head : await refresh();
      const leaf = leafHash(entry);
      const path = await withTiles(at.size, (node) => inclusionProof(index, at.size, node));
      return { leaf, path, head: at, holds: verifyInclusion(leaf, index, at.size, path, at.root) };
    },
  };
}

class Missing extends Error {}

async function get(address: string): Promise<Uint8Array> {
  const response = await fetch(address);
  if (!response.ok)
    throw new LedgerError('malformed', `${new URL(address).pathname}: the hub answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
