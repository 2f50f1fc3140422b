// The losses of a worker's inner steps, one after another, as it hands them in: what a validator that repeats the steps compares.
import { TrainingError } from './errors.ts';

/** Steps of a loss: a 4096th of a nat, far below what two runtimes differ by after a round. */
const STEPS_PER_NAT = 4096;
const LARGEST = 0xffff;
export const TRACE_RESOLUTION = 1 / STEPS_PER_NAT;

/** Losses in nats, from 0 to 16 (larger ones count as 16), as big-endian 16-bit numbers. */
export function encodeTrace(losses: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(2 * losses.length);
  const view = new DataView(bytes.buffer);
  losses.forEach((loss, i) => {
    if (!(loss >= 0)) throw new TrainingError('not-finite', `trace: expected a loss from 0, got ${loss}`, { at: i });
    view.setUint16(2 * i, Math.min(LARGEST, Math.round(loss * STEPS_PER_NAT)));
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
