// The step: what everybody downloads of a round instead of all its updates. What they say together is cut and coded again like one update, so
// its size does not grow with the workers; what is cut off waits for later rounds, in an error feedback of the merge (DoubleSqueeze, arXiv 1905.05957).
import type { ParameterSpec } from '../model/config.ts';
import { TrainingError } from './errors.ts';
import { openAggregate, stepFrom, takeStep, type WeightedUpdate } from './outer.ts';
import {
  type CodecOptions,
  compressTensor,
  decodeUpdate,
  encodeUpdate,
  type SparseOptions,
  type SparseTensor,
} from './sparse.ts';
import { leastDensity } from './sparse-tiles.ts';

/** A step begins with how many values it keeps of a full tile of each weight, 16 bits each, most significant byte first; an update's bytes follow. */
const DENSITY_BYTES = 2;

/** A step while it is cut. */
export interface Cut {
  /**
   * Cuts one weight's values; to be called once for each of the model's weights, in order.
   * @param rest what the steps before have left out of it; undefined: nothing. Not changed.
   * @param before the weight's values before the step; they count only where the run rounds them
   * @returns what is left out now. Throws TrainingError 'wrong-shape', or 'not-finite' where sums leave the finite numbers.
   */
  tensor(spec: ParameterSpec, rest: Float32Array | undefined, before: Float32Array | undefined): Float32Array;
  /** The bytes, when every weight is cut. */
  step(): Uint8Array;
}

/** Begins to cut a round's updates, whose order is part of the result (outer.ts). Throws what mergeUpdates throws. */
export function openCut(
  specs: readonly ParameterSpec[],
  updates: readonly WeightedUpdate[],
  options: SparseOptions,
): Cut {
  const { kept_per_tile, ...cut } = stepOptions(options);
  const aggregate = openAggregate(specs, updates, options);
  const kept = new Map<string, SparseTensor>();
  const densities = new Map<string, number>();
  return {
    tensor(spec, rest, before) {
      const values = aggregate(spec);
      const isSaid = (i: number) => values[i] !== 0 || (rest !== undefined && cut.error_decay * rest[i] !== 0);
      // Where little was said, few values say it all.
      const density = Math.min(kept_per_tile, leastDensity(spec, isSaid));
      const made = compressTensor(spec, values, rest, { ...cut, kept_per_tile: density });
      densities.set(spec.name, density);
      kept.set(spec.name, made.tensor);
      if (options.weights !== 'f32') keepRounding(spec, before, made, options);
      return made.rest;
    },
    step() {
      const body = encodeUpdate(specs, kept, { ...cut, kept_per_tile: densities });
      const step = new Uint8Array(DENSITY_BYTES * specs.length + body.length);
      const view = new DataView(step.buffer);
      for (const [i, { name }] of specs.entries()) view.setUint16(DENSITY_BYTES * i, densities.get(name)!);
      step.set(body, DENSITY_BYTES * specs.length);
      return step;
    },
  };
}

/**
 * What a step makes of each weight: θ ← θ − outer_step · step, in new arrays; to be called for any of the model's weights.
 * Throws TrainingError: what decodeUpdate throws, 'truncated', 'bad-option' (a step denser than the run allows), and when called
 * 'wrong-shape' and 'not-finite' as mergeUpdates.
 */
export function openFollow(
  specs: readonly ParameterSpec[],
  step: Uint8Array,
  options: SparseOptions,
): (spec: Pick<ParameterSpec, 'name' | 'shape'>, before: Float32Array | undefined) => Float32Array {
  const header_bytes = DENSITY_BYTES * specs.length;
  if (step.length < header_bytes) {
    throw new TrainingError('truncated', `step: expected at least ${header_bytes} bytes, got ${step.length}`);
  }
  const { kept_per_tile: most, ...cut } = stepOptions(options);
  const view = new DataView(step.buffer, step.byteOffset);
  const densities = specs.map(({ name }, i): [string, number] => {
    const density = view.getUint16(DENSITY_BYTES * i);
    if (density >= 2 && density <= most) return [name, density];
    const message = `step: ${name}: expected 2 to ${most} values kept of a tile, got ${density}`;
    throw new TrainingError('bad-option', message, { name });
  });
  const codec: CodecOptions = { ...cut, kept_per_tile: new Map(densities) };
  const update = decodeUpdate(specs, step.subarray(header_bytes), codec);
  return (spec, before) => {
    const after = stepFrom(spec, before);
    const { indices, codes, table } = update.get(spec.name)!;
    for (let i = 0; i < indices.length; i++) takeStep(spec.name, after, indices[i], table[codes[i]], options);
    return after;
  };
}

/** What rounding will take from a step goes into what the step leaves out: a change below half a digit is not lost, it waits until it is one. */
function keepRounding(
  spec: ParameterSpec,
  before: Float32Array | undefined,
  { tensor, rest }: ReturnType<typeof compressTensor>,
  options: SparseOptions,
): void {
  const { indices, codes, table } = tensor;
  const after = stepFrom(spec, before);
  for (let i = 0; i < indices.length; i++) {
    const added = takeStep(spec.name, after, indices[i], table[codes[i]], options);
    rest[indices[i]] += added / options.outer_step;
  }
}

/** How a step is cut. Throws where a run's settings want none. */
function stepOptions({ step }: SparseOptions): NonNullable<SparseOptions['step']> {
  if (step === null) throw new TrainingError('bad-option', 'step: the settings of this run want everybody to merge');
  return step;
}
