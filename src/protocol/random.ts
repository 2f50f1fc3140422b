// Seeded randomness that is the same on every machine: SHA-256 turns a seed into the state of sfc32 (PractRand's small fast counter).
import { sha256, utf8 } from './hash.ts';

/** A stream of pseudo-random integers. Not for keys. */
export interface Random {
  /** A uniform integer in [0, 2^32). */
  uint32(): number;
  /** A uniform integer in [0, bound), without modulo bias. `bound` in 1..2^32. */
  below(bound: number): number;
}

/** A stream that follows from a label and parts alone. The label keeps different uses apart. */
export function seededRandom(label: string, ...parts: readonly (Uint8Array | string | number)[]): Random {
  const pieces = [label, ...parts].map((part) => (part instanceof Uint8Array ? part : utf8(String(part))));
  // Each piece is hashed first, so that ("ab", "c") and ("a", "bc") give different streams.
  const view = new DataView(sha256(...pieces.map((piece) => sha256(piece))).buffer);
  let a = view.getUint32(0);
  let b = view.getUint32(4);
  let c = view.getUint32(8);
  let counter = 1;
  const uint32 = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) uint32();
  const below = (bound: number): number => {
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let value = uint32();
    while (value >= limit) value = uint32();
    return value % bound;
  };
  return { uint32, below };
}
