// The case of state-hash.test.ts: a log replayed with every signature checked, as the hashes of its states. It runs in Node and in the page alike.
import { decodeEvent } from '../src/core/codec.ts';
import { apply } from '../src/core/reduce.ts';
import { initialState } from '../src/core/state.ts';
import { decodeState, encodeState, stateHash } from '../src/core/state-bytes.ts';

export interface ReplayCase {
  readonly hub: string;
  /** The entries, as hexadecimal digits. */
  readonly entries: readonly string[];
  /** Where the state goes through its bytes, as when a hub starts from a snapshot. */
  readonly restored_at?: readonly number[];
}

/** The state's hash after each event. Throws at an event that may not follow. */
export function stateHashes({ hub, entries, restored_at = [] }: ReplayCase): string[] {
  let state = initialState(hub);
  return entries.map((digits, index) => {
    if (restored_at.includes(index)) state = decodeState(encodeState(state));
    const bytes = Uint8Array.from(digits.match(/../g)!, (pair) => Number.parseInt(pair, 16));
    const refusal = apply(state, decodeEvent(bytes));
    if (refusal) throw new Error(`event ${index}: ${refusal.message}`);
    return stateHash(state);
  });
}
