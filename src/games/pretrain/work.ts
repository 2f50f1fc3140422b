// What a pre-training worker hands in: which state it went on from and which it leaves, as hashes, the losses of its steps, and its
// sparse update. So the states of a worker that takes part in every round are a chain that anybody who repeats its steps can follow.

import { decodeTrace, encodeTrace } from '../../training/loss-trace.ts';
import { GameError } from '../errors.ts';

export interface PretrainWork {
  /** SHA-256 of the carried state that it began with (carried.ts); zeros: it began afresh. */
  readonly start: Uint8Array;
  /** SHA-256 of the carried state that it goes on with. */
  readonly end: Uint8Array;
  /** The loss of each inner step, in nats, at the trace's resolution. */
  readonly losses: Float64Array;
  /** What encodeUpdate wrote. */
  readonly update: Uint8Array;
}

/*
 * 1 byte version · 32 bytes start · 32 bytes end · 4 bytes number of steps (big-endian) · 2 bytes a step · the update.
 */
const VERSION = 2;
const HASH_BYTES = 32;
const HEADER_BYTES = 1 + 2 * HASH_BYTES + 4;

/** The bytes that the work of so many steps has beside its update. */
export const workOverhead = (steps: number): number => HEADER_BYTES + 2 * steps;

export function encodeWork(work: Omit<PretrainWork, 'losses'> & { readonly losses: ArrayLike<number> }): Uint8Array {
  const { start, end, losses, update } = work;
  const trace = encodeTrace(Array.from(losses));
  const bytes = new Uint8Array(HEADER_BYTES + trace.length + update.length);
  bytes[0] = VERSION;
  bytes.set(start, 1);
  bytes.set(end, 1 + HASH_BYTES);
  new DataView(bytes.buffer).setUint32(1 + 2 * HASH_BYTES, losses.length);
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
  const steps = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(1 + 2 * HASH_BYTES);
  const trace_end = HEADER_BYTES + 2 * steps;
  if (trace_end > bytes.length) {
    throw new GameError('bad-work', `work: ${steps} steps announced, but it ends after ${bytes.length} bytes`);
  }
  return {
    start: bytes.slice(1, 1 + HASH_BYTES),
    end: bytes.slice(1 + HASH_BYTES, 1 + 2 * HASH_BYTES),
    losses: decodeTrace(bytes.subarray(HEADER_BYTES, trace_end)),
    update: bytes.subarray(trace_end),
  };
}

/** A loss above this, or none that is a number, is told as this: an event holds only safe integers. */
const LARGEST_TOLD = 1e5;

/** A loss as it stands in an event, in millionths of a nat. */
export const toldMicro = (loss: number): number => Math.round((loss <= LARGEST_TOLD ? loss : LARGEST_TOLD) * 1e6);
