// What a pre-training worker hands in: a hash that commits it to its own state, the losses of its steps, and its sparse update.

import { decodeTrace, encodeTrace } from '../training/loss-trace.ts';
import { GameError } from './errors.ts';

export interface PretrainWork {
  /** SHA-256 of the optimiser state and error feedback that it goes on with: what it must show in a dispute. */
  readonly state: Uint8Array;
  /** The loss of each inner step, in nats, at the trace's resolution. */
  readonly losses: Float64Array;
  /** What encodeUpdate wrote. */
  readonly update: Uint8Array;
}

/*
 * 1 byte version · 32 bytes state · 4 bytes number of steps (big-endian) · 2 bytes a step · the update.
 */
const VERSION = 1;
const STATE_BYTES = 32;
const HEADER_BYTES = 1 + STATE_BYTES + 4;

/** The bytes that the work of so many steps has beside its update. */
export const workOverhead = (steps: number): number => HEADER_BYTES + 2 * steps;

export function encodeWork(state: Uint8Array, losses: readonly number[], update: Uint8Array): Uint8Array {
  const trace = encodeTrace(losses);
  const bytes = new Uint8Array(HEADER_BYTES + trace.length + update.length);
  bytes[0] = VERSION;
  bytes.set(state, 1);
  new DataView(bytes.buffer).setUint32(1 + STATE_BYTES, losses.length);
  bytes.set(trace, HEADER_BYTES);
  bytes.set(update, HEADER_BYTES + trace.length);
  return bytes;
}

/** Reads what encodeWork wrote; the update is not looked into. Throws GameError 'bad-work'. */
export function decodeWork(bytes: Uint8Array): PretrainWork {
  if (bytes.length < HEADER_BYTES) {
    throw new GameError('bad-work', `work: expected at least ${HEADER_BYTES} bytes, got ${bytes.length}`);
  }
  if (bytes[0] !== VERSION) throw new GameError('bad-work', `work: expected version ${VERSION}, got ${bytes[0]}`);
  const steps = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(1 + STATE_BYTES);
  const end = HEADER_BYTES + 2 * steps;
  if (end > bytes.length) {
    throw new GameError('bad-work', `work: ${steps} steps announced, but it ends after ${bytes.length} bytes`);
  }
  return {
    state: bytes.slice(1, 1 + STATE_BYTES),
    losses: decodeTrace(bytes.subarray(HEADER_BYTES, end)),
    update: bytes.subarray(end),
  };
}
