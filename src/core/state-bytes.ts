// A whole state as canonical bytes, and their hash: a hub stores them to start from, and two replays compare them.
import { decode, encode } from '@ipld/dag-cbor';
import { sha256Hex } from '../protocol/hash.ts';
import type { NetworkState } from './state.ts';

/** Marks a Map in the bytes: an object with this one key holds its pairs. No object of the state has such a key. */
const MAP = 'map of';

/**
 * Deterministic DAG-CBOR. Maps keep their insertion order, which follows from the log like everything else, so that a process that starts
 * from the bytes goes on exactly as one that replayed the log.
 */
export function encodeState(state: NetworkState): Uint8Array {
  return encode(plain(state));
}

/** Decodes the bytes, which must come from `encodeState` of the same code: only their form is checked. Throws for other bytes. */
export function decodeState(bytes: Uint8Array): NetworkState {
  return revived(decode(bytes)) as NetworkState;
}

/** SHA-256 over the canonical bytes: equal hashes mean equal states. */
export function stateHash(state: NetworkState): string {
  return sha256Hex(encodeState(state));
}

function plain(value: unknown): unknown {
  if (value instanceof Map) return { [MAP]: [...value].map(([key, item]) => [key, plain(item)]) };
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

function revived(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revived);
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value;
  if (MAP in value) return new Map((value[MAP] as [unknown, unknown][]).map(([key, item]) => [key, revived(item)]));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revived(item)]));
}
