// The loss trace: the losses of a worker's inner steps in order, as the worker submits them. A validator that repeats the steps compares them.
import { TrainingError } from './errors.ts';

/** The resolution of a loss: a 4096th of a nat, far below the difference of two runtimes after a round. */
const STEPS_PER_NAT = 4096;
const LARGEST = 0xffff;
export const TRACE_RESOLUTION = 1 / STEPS_PER_NAT;
/** The largest value: a trace does not tell losses above it apart. */
export const LARGEST_TRACED = LARGEST / STEPS_PER_NAT;

/** A loss as a trace shows it. A loss that is compared with a trace goes through this function first, so that both are cut off or neither. */
export const asTraced = (loss: number): number =>
  Math.min(LARGEST, Math.round(Math.max(0, loss) * STEPS_PER_NAT)) / STEPS_PER_NAT;

/** Encodes losses in nats, from 0 to 16 (larger ones count as 16; rounding may give slightly less than 0), as big-endian 16-bit numbers. */
export function encodeTrace(losses: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(2 * losses.length);
  const view = new DataView(bytes.buffer);
  losses.forEach((loss, i) => {
    if (Number.isNaN(loss)) throw new TrainingError('not-finite', `trace: expected a loss, got ${loss}`, { at: i });
    view.setUint16(2 * i, asTraced(loss) * STEPS_PER_NAT);
  });
  return bytes;
}

/** Decodes a trace. Throws TrainingError `wrong-count` for an odd number of bytes. */
export function decodeTrace(bytes: Uint8Array): Float64Array {
  if (bytes.length % 2 !== 0) {
    throw new TrainingError('wrong-count', `trace: expected two bytes a step, got ${bytes.length} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float64Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i) / STEPS_PER_NAT);
}
