// A binary arithmetic coder in 32-bit integers: a lower and an upper bound close in on the message, and their common leading bytes are written
// (carry-free form after Mahoney's PAQ, "Adaptive Weighing of Context Models for Lossless Data Compression", 2005).

/** Probabilities are 16-bit: a bit is 1 with probability p / 65536, p in 1..65535. */
export const PROBABILITY_ONE = 65_536;

// Bounds have 32 bits without a sign. They are kept as int32, the same bits with one: an engine computes with those several times as fast.

/** The border between 1 (below) and 0 (above) within the two bounds: low + floor((high - low) * probability / 65536), by the halves of the range. */
function split(low: number, high: number, probability: number): number {
  const range = high - low;
  return (low + Math.imul(range >>> 16, probability) + (Math.imul(range & 0xffff, probability) >>> 16)) | 0;
}

/** Whether the leading bytes of both bounds agree, so that the byte is settled. */
function settled(low: number, high: number): boolean {
  return (low ^ high) >>> 24 === 0;
}

/** One direction of coding: an encoder writes the given bit and returns it; a decoder ignores it and returns the bit that it reads. */
export interface BitCoder {
  /** @param probability that the bit is 1, in 1/65536 */
  code(bit: number, probability: number): number;
}

/** Writes bits, each with the probability that a model gave it. */
export class BitEncoder implements BitCoder {
  #low = 0;
  #high = -1;
  #bytes = new Uint8Array(1024);
  #length = 0;

  code(bit: number, probability: number): number {
    const middle = split(this.#low, this.#high, probability);
    if (bit) this.#high = middle;
    else this.#low = (middle + 1) | 0;
    while (settled(this.#low, this.#high)) {
      this.#write(this.#high >>> 24);
      this.#low <<= 8;
      this.#high = (this.#high << 8) | 0xff;
    }
    return bit;
  }

  /** The finished message: as few bytes as name a value between the bounds. The decoder reads zeros after the end. */
  finish(): Uint8Array {
    if (this.#low !== 0) {
      // One byte suffices: the bounds' leading bytes differ, so the lower one's plus one, followed by zeros, lies between them.
      this.#write((this.#low >>> 24) + 1);
    }
    while (this.#length > 0 && this.#bytes[this.#length - 1] === 0) this.#length--;
    return this.#bytes.slice(0, this.#length);
  }

  #write(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
  }
}

/** Reads what a BitEncoder wrote, given the same probabilities. Any bytes decode to something; the caller checks the result. */
export class BitDecoder implements BitCoder {
  #low = 0;
  #high = -1;
  #value = 0;
  #at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    for (let i = 0; i < 4; i++) this.#value = (this.#value << 8) | this.#next();
  }

  code(_bit: number, probability: number): 0 | 1 {
    const middle = split(this.#low, this.#high, probability);
    const bit = this.#value >>> 0 <= middle >>> 0 ? 1 : 0;
    if (bit) this.#high = middle;
    else this.#low = (middle + 1) | 0;
    while (settled(this.#low, this.#high)) {
      this.#low <<= 8;
      this.#high = (this.#high << 8) | 0xff;
      this.#value = (this.#value << 8) | this.#next();
    }
    return bit;
  }

  /**
   * Whether the bytes are exactly those with which an encoder of the bits read so far would finish. The settled bytes agree by construction;
   * the encoder's last bytes follow from the lower bound.
   */
  atEnd(): boolean {
    const settled_bytes = this.#at - 4;
    const length = this.#bytes.length;
    if (this.#low !== 0) return length === settled_bytes + 1 && this.#bytes[settled_bytes] === (this.#low >>> 24) + 1;
    return length <= settled_bytes && (length === 0 || this.#bytes[length - 1] > 0);
  }

  /** After the end, the zeros that `finish` left out. */
  #next(): number {
    const at = this.#at++;
    return at < this.#bytes.length ? this.#bytes[at] : 0;
  }
}
