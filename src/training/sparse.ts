// The sparse update: what a worker learned in a round, as the largest values of every chunk in two bits each. The rest waits in the
// worker's error feedback for later rounds (SparseLoCo, arXiv 2508.15706; error feedback: Seide et al. 2014).
import { z } from 'zod';
import type { ParameterSpec, Weights } from '../model/config.ts';
import { ROUNDED_DTYPES } from '../model/dtypes.ts';
import { type BitCoder, BitDecoder, BitEncoder } from './entropy.ts';
import { AdaptiveNumber, codeEven, codePositions, codePositionsEvenly, positionBits } from './entropy-models.ts';
import { TrainingError } from './errors.ts';
import { isCoarse, keepLargest, QUANTISERS, quantise, TABLE_SIZE } from './sparse-quantise.ts';
import { chunkStart, type Density, TILE_VALUES, type Tiling, tilingOf } from './sparse-tiles.ts';

/** Which updates are merged: see `merge_rule`. */
export const MERGE_RULES = ['mean', 'agreement'] as const;
export type MergeRule = (typeof MERGE_RULES)[number];

/**
 * What a run's owner decides about updates and their merge; part of the run's signed settings. The defaults are the best that
 * `bench parity` found at 215 times fewer bytes than dense float32 (docs/experiments.md, "Training apart"); the field's own
 * constants are kept_per_tile 64, quantiser 'ladder' and outer_step 1.
 */
export const SparseOptionsSchema = z
  .strictObject({
    /** Values kept of each full tile of 64 × 64; smaller chunks keep as many in proportion. */
    kept_per_tile: z.int().min(2).max(TILE_VALUES).default(74),
    /** The part of the unsent values that counts in the next round. */
    error_decay: z.number().min(0).max(1).default(0.95),
    /**
     * How kept values become codes: 'ladder' cuts at even steps of 1.5 standard deviations around the mean (the field's 2-bit
     * quantiser); 'sign' keeps the sign and one magnitude for the whole tensor, 'levels' the sign and one of two magnitudes.
     */
    quantiser: z.enum(QUANTISERS).default('sign'),
    /** The factor of the merged update when it is subtracted from the weights (outer learning rate). */
    outer_step: z.number().positive().max(16).default(1.5),
    /**
     * How much a worker that did not send a value counts in that value's mean: 0 means the mean over its senders alone, 1 over all workers
     * (as if the others had sent zero).
     */
    absent_share: z.number().min(0).max(1).default(0),
    /**
     * Which updates are merged: 'mean': all; 'agreement': those whose signs agree with the others' (robust.ts), for a run whose workers
     * nobody vouches for.
     */
    merge_rule: z.enum(MERGE_RULES).default('mean'),
    /**
     * How the merged update is cut again, so that what everybody downloads does not grow with the workers (steps.ts); null: everybody
     * downloads all accepted updates and merges them. What is cut off waits for the next rounds.
     */
    step: z
      .strictObject({
        /** The most values kept of each full tile; fewer are kept after a round in which fewer were sent. */
        kept_per_tile: z.int().min(2).max(TILE_VALUES).default(288),
        quantiser: z.enum(QUANTISERS).default('levels'),
        /** The part of what was cut off that counts in the next round. */
        error_decay: z.number().min(0).max(1).default(0.9),
      })
      .nullable()
      .prefault({}),
    /**
     * What the model is kept and sent in: every merge is rounded to it. Training itself is float32. What rounding takes from a step waits with
     * what the step leaves out (steps.ts), so narrower weights than float32 need one.
     */
    weights: z.enum(ROUNDED_DTYPES).default('f32'),
  })
  .refine(({ weights, step }) => weights === 'f32' || step !== null, {
    error: 'weights narrower than f32 need a step: what rounding takes from it waits there for the next one',
    path: ['weights'],
  });
export type SparseOptions = z.infer<typeof SparseOptionsSchema>;

/** The settings of the codec. All weights of an update have the same density; in a step (steps.ts) each weight has its own. */
export type CodecOptions = Pick<SparseOptions, 'error_decay' | 'quantiser'> & { readonly kept_per_tile: Density };

/** The kept values of one weight. */
export interface SparseTensor {
  /** Positions in the flat weight: chunk after chunk, ascending in each; the same number for every chunk. */
  readonly indices: Uint32Array;
  /** One code (0..3) for each index. */
  readonly codes: Uint8Array;
  /** The value of each code, a float32 with eight bits of precision (bfloat16); 0 for codes that do not occur. */
  readonly table: Float32Array;
}

/** The kept values of every weight, by name, in the order of `parameterSpecs`. */
export type SparseUpdate = ReadonlyMap<string, SparseTensor>;

/**
 * Compresses what a worker learned: e ← decay·e + Δ, keeps the largest of e, and leaves in `error` what the receiver will not see.
 * @param delta weights before minus weights after the inner steps, float32 by name
 * @param error the worker's error feedback by name; a missing tensor counts as zeros. Replaced by the new one on success.
 * Throws TrainingError `wrong-shape` or `not-finite`, and then leaves `error` as it was.
 */
export function compressUpdate(
  specs: readonly ParameterSpec[],
  delta: Weights,
  error: Map<string, Float32Array>,
  options: SparseOptions,
): SparseUpdate {
  const tensors = specs.map((spec) => compressTensor(spec, delta.get(spec.name), error.get(spec.name), options));
  for (const [i, { name }] of specs.entries()) error.set(name, tensors[i].rest);
  return new Map(specs.map(({ name }, i) => [name, tensors[i].tensor]));
}

/** The same for one weight; `rest` is what the receiver will not see. */
export function compressTensor(
  spec: ParameterSpec,
  delta: Float32Array | undefined,
  error: Float32Array | undefined,
  { kept_per_tile, error_decay, quantiser }: Pick<CodecOptions, 'kept_per_tile' | 'error_decay' | 'quantiser'>,
): { readonly tensor: SparseTensor; readonly rest: Float32Array } {
  const tiling = tilingOf(spec, kept_per_tile);
  const wanted = accumulate(spec.name, tiling, delta, error, error_decay);
  const indices = keepLargest(tiling, wanted);
  const tensor = { indices, ...quantise(wanted, indices, quantiser) };
  return { tensor, rest: withoutSent(wanted, tensor) };
}

/**
 * The new error feedback of a worker that learned `delta`, had `error` and sent `update`, for any update: compressUpdate leaves the same
 * for its own update. Throws as compressUpdate does.
 */
export function feedbackAfter(
  specs: readonly ParameterSpec[],
  delta: Weights,
  error: Weights,
  update: SparseUpdate,
  options: SparseOptions,
): Map<string, Float32Array> {
  return new Map(
    specs.map((spec) => {
      const { name } = spec;
      return [name, feedbackOf(spec, delta.get(name), error.get(name), update.get(name)!, options)];
    }),
  );
}

/** The same for one tensor. */
export function feedbackOf(
  spec: ParameterSpec,
  delta: Float32Array | undefined,
  error: Float32Array | undefined,
  sent: SparseTensor,
  options: SparseOptions,
): Float32Array {
  const tiling = tilingOf(spec, options.kept_per_tile);
  return withoutSent(accumulate(spec.name, tiling, delta, error, options.error_decay), sent);
}

/** Subtracts the values that are sent, in place. */
function withoutSent(wanted: Float32Array, { indices, codes, table }: SparseTensor): Float32Array {
  for (let i = 0; i < indices.length; i++) wanted[indices[i]] -= table[codes[i]];
  return wanted;
}

/** decay·e + Δ in a new array. */
function accumulate(
  name: string,
  tiling: Tiling,
  delta: Float32Array | undefined,
  error: Float32Array | undefined,
  decay: number,
): Float32Array {
  const size = tiling.rows * tiling.columns;
  for (const [what, values] of [
    ['difference', delta],
    ['error feedback', error ?? delta],
  ] as const) {
    if (values?.length !== size) {
      throw new TrainingError(
        'wrong-shape',
        `${what} of ${name}: expected ${size} values, got ${values?.length ?? 0}`,
        {
          name,
        },
      );
    }
  }
  const sum = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    sum[i] = (error === undefined ? 0 : decay * error[i]) + delta![i];
    if (!Number.isFinite(sum[i])) {
      throw new TrainingError('not-finite', `difference of ${name}: value ${i} is ${delta![i]}`, { name, at: i });
    }
  }
  return sum;
}

/*
 * The binary form of an update:
 *   4 bytes "PLSU" · 1 byte version · 1 byte method · 4 bytes number of kept values (big-endian) · 4 bytes length of the rest
 *   · arithmetic-coded bits: for each weight in order its table, its positions, its codes.
 * Method 1 codes with adaptive models. Method 0 spends 12 bits on a position and 2 on a code, whatever they are: it bounds the
 * size of updates that no model fits. An update has exactly one encoding: method 1 where that is smaller, else method 0.
 */
const MAGIC = [0x50, 0x4c, 0x53, 0x55];
const VERSION = 1;
const METHOD_EVEN = 0;
const METHOD_ADAPTIVE = 1;
const HEADER_BYTES = 14;
const CODE_BITS = 2;
/** A table entry is a bfloat16: sign and exponent, which are alike from weight to weight, then seven bits that are not. */
const RANGE_BITS = 9;
const FRACTION_BITS = 7;
/** The coder's bounds meet slightly early at byte borders, and the last byte is a whole one. */
const CODER_SLACK_BYTES = 16;

/** The most bytes of an update of this model, which is the size with method 0. */
export function maxUpdateBytes(specs: readonly ParameterSpec[], options: CodecOptions): number {
  let bits = 0;
  for (const spec of specs) {
    const { chunks, kept, chunk_size } = tilingOf(spec, options.kept_per_tile);
    bits += TABLE_SIZE * (1 + RANGE_BITS + FRACTION_BITS) + chunks * kept * (positionBits(chunk_size) + CODE_BITS);
  }
  return HEADER_BYTES + Math.ceil(bits / 8) + CODER_SLACK_BYTES;
}

/**
 * Encodes an update without loss.
 * Throws TrainingError `wrong-shape`, `wrong-count`, `bad-index`, `bad-code`, `not-finite` or `not-canonical` for an update
 * that compressUpdate cannot have made.
 */
export function encodeUpdate(specs: readonly ParameterSpec[], update: SparseUpdate, options: CodecOptions): Uint8Array {
  checkUpdate(specs, update, options);
  const adaptive = adaptiveBody(specs, update, options);
  const method = adaptive ? METHOD_ADAPTIVE : METHOD_EVEN;
  const body = adaptive ?? encodeBody(specs, update, options, METHOD_EVEN);
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  bytes.set([...MAGIC, VERSION, method]);
  const view = new DataView(bytes.buffer);
  view.setUint32(6, keptValues(specs, options));
  view.setUint32(10, body.length);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

/**
 * Decodes an update. Work and memory depend on the model, not on the bytes.
 * Throws TrainingError: `too-large`, `truncated`, `trailing-bytes`, `bad-magic`, `unknown-version`, `wrong-count` (made with other
 * options or for another model), `bad-index`, `bad-code`, `not-finite`, `not-canonical` (an update has only one encoding).
 */
export function decodeUpdate(specs: readonly ParameterSpec[], bytes: Uint8Array, options: CodecOptions): SparseUpdate {
  const method = checkHeader(specs, bytes, options);
  const coder = new BitDecoder(bytes.subarray(HEADER_BYTES));
  const tensors = specs.map((spec): [string, SparseTensor] => {
    const { chunks, kept } = tilingOf(spec, options.kept_per_tile);
    const count = chunks * kept;
    return [
      spec.name,
      { indices: new Uint32Array(count), codes: new Uint8Array(count), table: new Float32Array(TABLE_SIZE) },
    ];
  });
  const update = new Map(tensors);
  const as_used = codeTensors(coder, specs, update, options, method, true);
  checkUpdate(specs, update, options);
  // Deviations that the checks above cannot name (meaningless bits, cut or altered codes) show here.
  if (!as_used || !coder.atEnd() || (method === METHOD_EVEN && adaptiveBody(specs, update, options))) {
    throw new TrainingError('not-canonical', 'update: the bytes are not the encoding of what they decode to');
  }
  return update;
}

function checkHeader(specs: readonly ParameterSpec[], bytes: Uint8Array, options: CodecOptions): number {
  const limit = maxUpdateBytes(specs, options);
  if (bytes.length > limit) {
    const size_bytes = bytes.length;
    throw new TrainingError('too-large', `update: at most ${limit} bytes for this model, got ${size_bytes}`, {
      size_bytes,
    });
  }
  MAGIC.forEach((byte, i) => {
    if (i < bytes.length && bytes[i] !== byte)
      throw new TrainingError('bad-magic', 'update: expected it to begin with PLSU');
  });
  if (bytes.length < HEADER_BYTES) {
    throw new TrainingError('truncated', `update: expected a header of ${HEADER_BYTES} bytes, got ${bytes.length}`);
  }
  if (bytes[4] !== VERSION) {
    throw new TrainingError('unknown-version', `update: expected version ${VERSION}, got ${bytes[4]}`);
  }
  if (bytes[5] !== METHOD_EVEN && bytes[5] !== METHOD_ADAPTIVE) {
    throw new TrainingError('unknown-version', `update: expected method 0 or 1, got ${bytes[5]}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const expected = keptValues(specs, options);
  if (view.getUint32(6) !== expected) {
    const message = `update: expected ${expected} kept values for this model and density, got ${view.getUint32(6)}`;
    throw new TrainingError('wrong-count', message);
  }
  const announced = view.getUint32(10);
  const present = bytes.length - HEADER_BYTES;
  if (present < announced) throw new TrainingError('truncated', `update: ${announced} bytes announced, got ${present}`);
  if (present > announced) {
    throw new TrainingError('trailing-bytes', `update: ${announced} bytes announced, got ${present}`);
  }
  return bytes[5];
}

/** null where method 0 gives the update's encoding. */
function adaptiveBody(specs: readonly ParameterSpec[], update: SparseUpdate, options: CodecOptions): Uint8Array | null {
  const body = encodeBody(specs, update, options, METHOD_ADAPTIVE);
  return body.length <= maxUpdateBytes(specs, options) - HEADER_BYTES ? body : null;
}

function encodeBody(
  specs: readonly ParameterSpec[],
  update: SparseUpdate,
  options: CodecOptions,
  method: number,
): Uint8Array {
  const encoder = new BitEncoder();
  codeTensors(encoder, specs, update, options, method, false);
  return encoder.finish();
}

/**
 * Both directions: writes the update, or fills its arrays while reading. False if the tables read contain values without a code, or lack
 * the value of a code.
 */
function codeTensors(
  coder: BitCoder,
  specs: readonly ParameterSpec[],
  update: SparseUpdate,
  options: CodecOptions,
  method: number,
  reading_them: boolean,
): boolean {
  let as_used = true;
  const code_model = new AdaptiveNumber(CODE_BITS);
  const range_model = new AdaptiveNumber(RANGE_BITS);
  const used_model = new AdaptiveNumber(TABLE_SIZE);
  const adaptive = method === METHOD_ADAPTIVE;
  for (const spec of specs) {
    const tiling = tilingOf(spec, options.kept_per_tile);
    const { indices, codes, table } = update.get(spec.name)!;
    const told = usedOf(codes);
    const used = adaptive ? used_model.code(coder, told) : codeEven(coder, told, TABLE_SIZE);
    const words = new Uint32Array(table.buffer, table.byteOffset, TABLE_SIZE);
    for (let code = 0; code < TABLE_SIZE; code++) {
      if ((used & (1 << code)) === 0) continue;
      const range = words[code] >>> 23;
      const coded = adaptive ? range_model.code(coder, range) : codeEven(coder, range, RANGE_BITS);
      const fraction = codeEven(coder, (words[code] >>> 16) & 0x7f, FRACTION_BITS);
      words[code] = ((coded << 23) | (fraction << 16)) >>> 0;
    }
    if (adaptive) codePositions(coder, tiling, indices, reading_them);
    else codePositionsEvenly(coder, tiling, indices, reading_them);
    for (let i = 0; i < codes.length; i++) {
      codes[i] = adaptive ? code_model.code(coder, codes[i]) : codeEven(coder, codes[i], CODE_BITS);
    }
    as_used &&= usedOf(codes) === used;
  }
  return as_used;
}

/** Which codes occur, one bit each. */
function usedOf(codes: Uint8Array): number {
  let used = 0;
  for (const code of codes) used |= 1 << code;
  return used;
}

/** The number of values that an update keeps. */
function keptValues(specs: readonly ParameterSpec[], options: CodecOptions): number {
  return specs.reduce((sum, spec) => {
    const { chunks, kept } = tilingOf(spec, options.kept_per_tile);
    return sum + chunks * kept;
  }, 0);
}

/** Checks everything that must hold of an update before it is encoded or trusted. */
function checkUpdate(specs: readonly ParameterSpec[], update: SparseUpdate, options: CodecOptions): void {
  if (update.size !== specs.length) {
    throw new TrainingError('wrong-shape', `update: expected ${specs.length} weights, got ${update.size}`);
  }
  for (const spec of specs) {
    const { name } = spec;
    const tensor = update.get(name);
    if (!tensor) throw new TrainingError('wrong-shape', `update: ${name} is missing`, { name });
    const tiling = tilingOf(spec, options.kept_per_tile);
    const { indices, codes, table } = tensor;
    const count = tiling.chunks * tiling.kept;
    if (indices.length !== count || codes.length !== count || table.length !== TABLE_SIZE) {
      const message = `update: ${name}: expected ${count} indices and codes, got ${indices.length} and ${codes.length}`;
      throw new TrainingError('wrong-count', message, { name });
    }
    table.forEach((value, code) => {
      if (!Number.isFinite(value)) {
        throw new TrainingError('not-finite', `update: ${name}: code ${code} stands for ${value}`, { name });
      }
      if (!isCoarse(value) || (!Object.is(value, 0) && !codes.includes(code))) {
        throw new TrainingError('not-canonical', `update: ${name}: code ${code} stands for ${value}`, { name });
      }
    });
    const wrong_code = codes.findIndex((code) => code >= TABLE_SIZE);
    if (wrong_code >= 0) {
      throw new TrainingError('bad-code', `update: ${name}: expected codes 0..3, got ${codes[wrong_code]}`, { name });
    }
    checkIndices(name, tiling, indices);
  }
}

/** Checks that every index is in its own chunk, in ascending order. */
function checkIndices(name: string, tiling: Tiling, indices: Uint32Array): void {
  const { kept, columns, tile_rows, tile_columns } = tiling;
  for (let at = 0; at < indices.length; at++) {
    const offset = indices[at] - chunkStart(tiling, Math.floor(at / kept));
    const inside = offset >= 0 && offset < tile_rows * columns && offset % columns < tile_columns;
    if (!inside || (at % kept > 0 && indices[at] <= indices[at - 1])) {
      const message = `update: ${name}: index ${indices[at]} at ${at} is outside its chunk or not ascending`;
      throw new TrainingError('bad-index', message, { name, at });
    }
  }
}
