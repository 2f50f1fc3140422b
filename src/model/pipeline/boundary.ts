// What crosses from one stage to the next, and back, as bytes: how values are coded, of exactly one length for a shape, and checked where they arrive.
import { z } from 'zod';
import type { LlamaConfig } from '../config.ts';
import { ModelError } from '../errors.ts';
import type { BatchShape } from '../train-graph.ts';

export const LARGEST_BITS = 8; // codes of more bits would lose nothing that training notices
export const WHOLE_BITS = 32;
export const LIMIT_WIDTH = 65_536; // a model's own limit of hidden_size
export const LIMIT_SCALE_ROWS = 4096; // more tokens than that hide small values behind large ones
export const TOKEN_PARTS = ['none', 'frozen', 'trained'] as const;
const bits = z.union([z.literal(WHOLE_BITS), z.int().min(1).max(LARGEST_BITS)]);

/** How a boundary between two stages is coded; both must know it. The default sends all activations and gradients as float32. */
export const BoundarySchema = z.strictObject({
  /** Values that are sent for each token, through a learned bottleneck that begins orthonormal; null: all of hidden_size, without one. */
  width: z.int().min(1).max(LIMIT_WIDTH).nullable().default(null),
  /**
   * What the receiver adds for each token by itself, so that only the rest is sent: a row of a table of its own, which begins as the embedding
   * and is trained, or stays as it was last set. It takes as much memory as an embedding: four times vocabulary × hidden_size values if trained.
   */
  tokens: z.enum(TOKEN_PARTS).default('none'),
  /** Bits of an activation; 32: float32. */
  bits: bits.default(WHOLE_BITS),
  /** Bits of a gradient, which is rounded at random to the value below or above. */
  gradient_bits: bits.default(WHOLE_BITS),
  /** Tokens that share a scale. Must divide the tokens of a micro-batch. */
  scale_rows: z.int().min(1).max(LIMIT_SCALE_ROWS).default(1),
});
export type Boundary = z.infer<typeof BoundarySchema>;
export type BoundaryInput = z.input<typeof BoundarySchema>;

/** The values of a micro-batch in one direction: a row for each token. */
export interface Layout {
  readonly rows: number;
  readonly columns: number;
  readonly bits: number;
  readonly scale_rows: number;
}

/** The layout of a boundary's activations or gradients. Throws ModelError `bad-config` where its width or its scales do not fit. */
export function layoutOf(
  config: LlamaConfig,
  { batch, context }: BatchShape,
  boundary: Boundary,
  what: 'activations' | 'gradients',
): Layout {
  const rows = batch * context;
  const { width, scale_rows } = boundary;
  if (rows % scale_rows !== 0) {
    throw new ModelError('bad-config', `scale_rows: expected a divisor of ${rows} tokens, got ${scale_rows}`);
  }
  if (width !== null && width > config.hidden_size) {
    throw new ModelError('bad-config', `width: expected at most hidden_size, ${config.hidden_size}, got ${width}`);
  }
  const bits = what === 'activations' ? boundary.bits : boundary.gradient_bits;
  return { rows, columns: width ?? config.hidden_size, bits, scale_rows };
}

/** Whether values are sent as float32. */
export const isWhole = ({ bits }: { readonly bits: number }): boolean => bits === WHOLE_BITS;

// A scale is a whole number of fifths of an octave, in one byte: from 2^-40 to 2^11, at most 15 % above the largest value.
export const SCALES_PER_OCTAVE = 5;
export const SCALE_OF_ONE = 200;
const LARGEST_SCALE = 255;

/** The scales by their codes. Sender and receiver read the same table, so that they agree to the bit. */
export const scaleTable = (): Float32Array =>
  Float32Array.from({ length: LARGEST_SCALE + 1 }, (_, code) => 2 ** ((code - SCALE_OF_ONE) / SCALES_PER_OCTAVE));

/** How many bytes carry the values of a layout: the scales, one byte each, then the codes without gaps; or float32. */
export function boundaryBytes(layout: Layout): number {
  const { rows, columns, bits, scale_rows } = layout;
  return isWhole(layout) ? 4 * rows * columns : rows / scale_rows + Math.ceil((rows * columns * bits) / 8);
}

/** Coded values of a layout. */
export interface Codes {
  /** rows × columns codes below 2^bits, row-major. */
  readonly codes: Int32Array;
  /** A code for each group of rows, to be looked up in `scaleTable`. */
  readonly scales: Int32Array;
}

/**
 * The bytes of coded values, the first code in the lowest bits of its byte.
 * Throws ModelError `bad-activations` for a code out of range, as values that are not finite give.
 */
export function packCodes(layout: Layout, { codes, scales }: Codes): Uint8Array {
  const { bits } = layout;
  const bytes = new Uint8Array(boundaryBytes(layout));
  checkCodes('scale', scales, LARGEST_SCALE);
  checkCodes('value', codes, 2 ** bits - 1);
  bytes.set(scales);
  let [waiting, filled, at] = [0, 0, scales.length];
  for (const code of codes) {
    waiting |= code << filled;
    filled += bits;
    while (filled >= 8) {
      bytes[at++] = waiting;
      waiting >>>= 8;
      filled -= 8;
    }
  }
  if (filled > 0) bytes[at] = waiting;
  return bytes;
}

function checkCodes(what: string, codes: Int32Array, most: number): void {
  const wrong = codes.find((code) => code < 0 || code > most);
  if (wrong === undefined) return;
  throw new ModelError(
    'bad-activations',
    `a boundary: what was computed here is not finite (the ${what} code ${wrong})`,
  );
}

/** Reads what `packCodes` wrote. Throws ModelError `bad-activations` for another length, and where bits after the last code are set. */
export function unpackCodes(layout: Layout, bytes: Uint8Array): Codes {
  checkLength(bytes, boundaryBytes(layout));
  const { rows, columns, scale_rows, bits } = layout;
  const groups = rows / scale_rows;
  const codes = new Int32Array(rows * columns);
  const mask = 2 ** bits - 1;
  let [waiting, filled, at] = [0, 0, groups];
  for (let i = 0; i < codes.length; i++) {
    while (filled < bits) {
      waiting |= bytes[at++] << filled;
      filled += 8;
    }
    codes[i] = waiting & mask;
    waiting >>>= bits;
    filled -= bits;
  }
  if (waiting !== 0) throw new ModelError('bad-activations', 'a boundary: expected zeros after the last value');
  return { codes, scales: Int32Array.from(bytes.subarray(0, groups)) };
}

/** Values as little-endian float32. Throws ModelError `bad-activations` for one that is not finite: what was computed here is of no use to anybody. */
export function encodeFloats(values: Float32Array): Uint8Array {
  checkFinite(values);
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** The values in bytes that came from another device. Throws ModelError `bad-activations` for another length, and for a value that is not finite. */
export function decodeFloats(layout: Layout, bytes: Uint8Array): Float32Array {
  checkLength(bytes, boundaryBytes(layout));
  const values = new Float32Array(bytes.slice().buffer);
  checkFinite(values, 'received');
  return values;
}

/** Throws ModelError `bad-activations` for bytes that are no values of this layout. */
export function checkReceived(layout: Layout, bytes: Uint8Array): void {
  if (isWhole(layout)) decodeFloats(layout, bytes);
  else unpackCodes(layout, bytes);
}

function checkLength({ length }: Uint8Array, expected_bytes: number): void {
  if (length === expected_bytes) return;
  throw new ModelError('bad-activations', `a boundary: expected ${expected_bytes} bytes, got ${length}`, {
    expected_bytes,
    got_bytes: length,
  });
}

/** Throws ModelError `bad-activations` for a value that is not finite. */
export function checkFinite(values: Float32Array, where = 'computed here'): void {
  // A loop: a call for each value took a sixth of a small stage's time.
  let at = -1;
  for (let i = 0; i < values.length && at === -1; i++) if (!Number.isFinite(values[i])) at = i;
  if (at === -1) return;
  throw new ModelError('bad-activations', `a boundary: expected finite values, ${where} is ${values[at]} at ${at}`, {
    at,
  });
}
