// Messages in protobuf's wire format (protobuf.dev/programming-guides/encoding): what ONNX files are made of.
import { TensorError } from './errors.ts';

/** Protobuf wire types (protobuf.dev/programming-guides/encoding). */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const TWO_64 = 1n << 64n;
const utf8 = new TextEncoder();

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

/** One protobuf message under construction: a list of byte pieces that are joined once at the end. */
export class Message {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  integer(field: number, value: number): this {
    return this.#tag(field, WIRE.varint).#push(encodeVarint(value));
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#tag(field, WIRE.fixed32).#push(bytes);
  }

  bytes(field: number, value: Uint8Array): this {
    return this.#tag(field, WIRE.bytes).#push(encodeVarint(value.length)).#push(value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, utf8.encode(value));
  }

  /** A nested message; its pieces are taken over, so that a large constant is copied only once, at the very end. */
  message(field: number, value: Message): this {
    this.#tag(field, WIRE.bytes).#push(encodeVarint(value.#length));
    for (const piece of value.#pieces) this.#push(piece);
    return this;
  }

  get length(): number {
    return this.#length;
  }

  /** The message's bytes, in pieces that may share memory with what was written. */
  get pieces(): readonly Uint8Array[] {
    return this.#pieces;
  }

  finish(): Uint8Array {
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  #tag(field: number, wire: number): this {
    return this.#push(encodeVarint(field * 8 + wire));
  }

  #push(piece: Uint8Array): this {
    this.#pieces.push(piece);
    this.#length += piece.length;
    return this;
  }
}
