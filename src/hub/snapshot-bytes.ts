// The bytes of a state for its snapshot, in two steps: a copy, which must be made at one moment, and its canonical form, which takes ten times as long and may be made elsewhere.
import { deserialize, serialize } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { NetworkState } from '../core/state.ts';
import { encodeState } from '../core/state-bytes.ts';

/** A copy of the state as it is now, as V8 keeps it. */
export const copyOf = (state: NetworkState): Uint8Array => serialize(state);

/** The canonical bytes of a copy. */
export const stateBytes = (copy: Uint8Array): Uint8Array => encodeState(deserialize(copy) as NetworkState);

/** A smaller copy (of some two thousand peers) is encoded sooner than a thread begins. */
const WORTH_A_THREAD_BYTES = 1 << 20;

/** The same, where it takes long in a thread of its own, so that this one goes on meanwhile. Rejects where the thread fails. */
export async function stateBytesBeside(copy: Uint8Array, worth_bytes = WORTH_A_THREAD_BYTES): Promise<Uint8Array> {
  if (copy.length < worth_bytes) return stateBytes(copy);
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./snapshot-thread.ts', import.meta.url), { workerData: copy });
    thread.on('message', resolve);
    thread.on('error', reject);
    thread.on('exit', (code) => reject(new Error(`the thread for snapshots has ended (code ${code})`)));
  });
}
