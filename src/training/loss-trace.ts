// The losses of a worker's inner steps, one after another, as it hands them in: what a validator that repeats the steps compares.
import { TrainingError } from './errors.ts';

/** Steps of a loss: a 4096th of a nat, far below what two runtimes differ by after a round. */
const STEPS_PER_NAT = 4096;
const LARGEST = 0xffff;
export const TRACE_RESOLUTION = 1 / STEPS_PER_NAT;
/** What stands in a trace for every loss from here on: of those it says no more. */
export const LARGEST_TRACED = LARGEST / STEPS_PER_NAT;

/** A loss as a trace tells it. Whatever is compared with a told loss goes through this first: both are cut off then, or neither. */
export const asTraced = (loss: number): number =>
  Math.min(LARGEST, Math.round(Math.max(0, loss) * STEPS_PER_NAT)) / STEPS_PER_NAT;

/** Losses in nats, from 0 to 16 (larger ones count as 16; rounding may bring 0 a little below), as big-endian 16-bit numbers. */
export function encodeTrace(losses: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(2 * losses.length);
  const view = new DataView(bytes.buffer);
  losses.forEach((loss, i) => {
    if (Number.isNaN(loss)) throw new TrainingError('not-finite', `trace: expected a loss, got ${loss}`, { at: i });
    view.setUint16(2 * i, asTraced(loss) * STEPS_PER_NAT);
  });
  return bytes;
}

/** What encodeTrace wrote. Throws TrainingError 'wrong-count' for an odd number of bytes. */
export function decodeTrace(bytes: Uint8Array): Float64Array {
  if (bytes.length % 2 !== 0) {
    throw new TrainingError('wrong-count', `trace: expected two bytes a step, got ${bytes.length} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float64Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i) / STEPS_PER_NAT);
}
