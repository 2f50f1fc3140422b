// What crosses from one stage to the next, and back, as bytes: of exactly one length for a shape, and checked where they arrive.
import { ModelError } from '../errors.ts';

const FLOAT_BYTES = 4;

/** Values as little-endian float32. Throws ModelError `bad-activations` for one that is not finite: what was computed here is of no use to anybody. */
export function encodeFloats(values: Float32Array): Uint8Array {
  checkFinite(values, 'computed here');
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** The values in bytes that came from another device. Throws ModelError `bad-activations` for another length, and for a value that is not finite. */
export function decodeFloats(bytes: Uint8Array, length: number): Float32Array {
  if (bytes.length !== FLOAT_BYTES * length) {
    const expected = FLOAT_BYTES * length;
    throw new ModelError('bad-activations', `a boundary: expected ${expected} bytes, got ${bytes.length}`, {
      expected_bytes: expected,
      got_bytes: bytes.length,
    });
  }
  const values = new Float32Array(bytes.slice().buffer);
  checkFinite(values, 'received');
  return values;
}

function checkFinite(values: Float32Array, where: string): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at === -1) return;
  throw new ModelError('bad-activations', `a boundary: expected finite values, ${where} is ${values[at]} at ${at}`, {
    at,
  });
}
