// Messages in protobuf's wire format (protobuf.dev/programming-guides/encoding): what ONNX files are made of.
import { TensorError } from './errors.ts';

/** Protobuf wire types (protobuf.dev/programming-guides/encoding). */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const TWO_64 = 1n << 64n;
const utf8 = new TextEncoder();

/** Larger values stay where they are until the end: a large constant is copied only once. Smaller ones are cheaper to copy than to keep apart. */
const APART_BYTES = 4096;
/** Most messages of a graph, names and shapes of values, fit. */
const FIRST_BYTES = 64;

/**
 * A number as protobuf's base-128 varint: seven bits a byte, the lowest first. Negative numbers are written as 64-bit two's
 * complement (ten bytes), as int64 demands. Throws `bad-attribute` where the number is not a safe integer.
 */
export function encodeVarint(value: number): Uint8Array {
  if (!Number.isSafeInteger(value)) {
    throw new TensorError('bad-attribute', `varint: expected a safe integer, got ${value}`);
  }
  const bytes: number[] = [];
  if (value < 0) {
    let rest = TWO_64 + BigInt(value);
    for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
    bytes.push(Number(rest));
  } else {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
    bytes.push(rest);
  }
  return Uint8Array.from(bytes);
}

/** One protobuf message under construction: its bytes, with large values beside them that are joined once at the end. */
export class Message {
  /** Finished pieces, before those in `#open`. */
  readonly #pieces: Uint8Array[] = [];
  #pieces_bytes = 0;
  #open = new Uint8Array(FIRST_BYTES);
  #used = 0;

  integer(field: number, value: number): this {
    return this.#tag(field, WIRE.varint).#varint(value);
  }

  float(field: number, value: number): this {
    this.#tag(field, WIRE.fixed32).#room(4);
    new DataView(this.#open.buffer).setFloat32(this.#used, value, true);
    this.#used += 4;
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, WIRE.bytes).#varint(value.length);
    return value.length < APART_BYTES ? this.#copy(value, value.length) : this.#seal().#add(value);
  }

  text(field: number, value: string): this {
    const { length } = value;
    const start = this.#used;
    this.#tag(field, WIRE.bytes).#varint(length).#room(length);
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) {
        this.#used = start; // no ASCII: it has more bytes than characters
        return this.bytes(field, utf8.encode(value));
      }
      this.#open[this.#used + i] = code;
    }
    this.#used += length;
    return this;
  }

  /** A nested message, as it is now. Its large values are shared with it. */
  message(field: number, value: Message): this {
    this.#tag(field, WIRE.bytes).#varint(value.length);
    if (value.#pieces.length > 0) {
      this.#seal();
      for (const piece of value.#pieces) this.#add(piece);
    }
    return this.#copy(value.#open, value.#used);
  }

  get length(): number {
    return this.#pieces_bytes + this.#used;
  }

  /** The message's bytes, in pieces that may share memory with what was written. */
  get pieces(): readonly Uint8Array[] {
    return [...this.#pieces, this.#open.subarray(0, this.#used)];
  }

  finish(): Uint8Array {
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const piece of this.pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  #tag(field: number, wire: number): this {
    return this.#varint(field * 8 + wire);
  }

  #varint(value: number): this {
    if (value >= 0 && value < 128) {
      this.#room(1);
      this.#open[this.#used++] = value;
      return this;
    }
    const bytes = encodeVarint(value);
    return this.#copy(bytes, bytes.length);
  }

  /** Makes room for so many bytes more. */
  #room(bytes: number): void {
    if (this.#used + bytes <= this.#open.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#open.length, this.#used + bytes));
    larger.set(this.#open.subarray(0, this.#used));
    this.#open = larger;
  }

  #copy(from: Uint8Array, length: number): this {
    this.#room(length);
    this.#open.set(length === from.length ? from : from.subarray(0, length), this.#used);
    this.#used += length;
    return this;
  }

  #add(piece: Uint8Array): this {
    this.#pieces.push(piece);
    this.#pieces_bytes += piece.length;
    return this;
  }

  /** What follows is behind a large value. */
  #seal(): this {
    if (this.#used === 0) return this;
    this.#add(this.#open.subarray(0, this.#used));
    this.#open = new Uint8Array(FIRST_BYTES);
    this.#used = 0;
    return this;
  }
}
