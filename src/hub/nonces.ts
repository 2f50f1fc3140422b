// Fresh random bytes for nonces: drawn from the system many at a time, because thousands of devices that come at once need one each.
import { randomFillSync } from 'node:crypto';

/** A hundred nonces; asking the system costs as much for all of them as for one. */
const POOL_BYTES = 4096;

/** No byte is given out twice. */
export function openNonces(fill: (pool: Uint8Array) => unknown = randomFillSync): (length: number) => Uint8Array {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return (length) => {
    if (length > POOL_BYTES) {
      const bytes = new Uint8Array(length);
      fill(bytes);
      return bytes;
    }
    if (used + length > POOL_BYTES) {
      fill(pool);
      used = 0;
    }
    const bytes = pool.slice(used, used + length);
    pool.fill(0, used, used + length);
    used += length;
    return bytes;
  };
}
