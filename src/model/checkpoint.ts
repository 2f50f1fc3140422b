// A model as one canonical blob: a safetensors file whose SHA-256 is the model's name in the network. Runs in a browser too.
import { sizeOf } from '../tensor/shape.ts';
import { type LlamaConfig, parameterSpecs, type Weights } from './config.ts';
import { ModelError } from './errors.ts';
import { type DecodedArray, decodeSafetensors, encodeSafetensors, safetensorsHeader } from './safetensors.ts';

/** transformers refuses a safetensors file that does not say which framework laid out its tensors. */
const METADATA = { format: 'pt' };

/** Throws ModelError `wrong-weights` for NaN and infinities. */
export function checkFinite(name: string, data: Float32Array): void {
  for (let i = 0; i < data.length; i++) {
    if (Number.isFinite(data[i])) continue;
    throw new ModelError('wrong-weights', `"${name}": value ${i} is ${data[i]}`, { name, index: i });
  }
}

/** The weights that `config` names, in canonical order; throws `wrong-weights` if a name is missing, extra or of another shape. */
function exactWeights(config: LlamaConfig, arrays: ReadonlyMap<string, DecodedArray>): Map<string, Float32Array> {
  const weights = new Map<string, Float32Array>();
  for (const { name, shape } of parameterSpecs(config)) {
    const array = arrays.get(name);
    if (!array) throw new ModelError('wrong-weights', `the weight "${name}" is missing`, { name });
    if (array.shape.join() !== shape.join()) {
      const fact = `has the shape [${array.shape.join(', ')}], expected [${shape.join(', ')}]`;
      throw new ModelError('wrong-weights', `"${name}" ${fact}`, { name, shape: array.shape, expected: shape });
    }
    checkFinite(name, array.data);
    weights.set(name, array.data);
  }
  for (const name of arrays.keys()) {
    if (!weights.has(name)) throw new ModelError('wrong-weights', `"${name}" is no weight of this model`, { name });
  }
  return weights;
}

/**
 * The canonical blob of a model: a safetensors file of all weights in the order of `parameterSpecs`.
 * Its SHA-256 is the model's name in the network, and it is byte for byte the model.safetensors of an export.
 * Throws ModelError `wrong-weights` for missing or extra weights, wrong lengths, NaN and infinities.
 */
export function encodeModel(config: LlamaConfig, weights: Weights): Uint8Array {
  const specs = parameterSpecs(config);
  const shapes = new Map(specs.map(({ name, shape }) => [name, shape]));
  const arrays = new Map<string, DecodedArray>();
  for (const [name, data] of weights) {
    const shape = shapes.get(name) ?? [data.length];
    const expected = sizeOf(shape);
    if (data.length !== expected) {
      throw new ModelError('wrong-weights', `"${name}" has ${data.length} values, expected ${expected}`, { name });
    }
    arrays.set(name, { shape, data });
  }
  const exact = exactWeights(config, arrays);
  return encodeSafetensors(
    specs.map(({ name, shape }) => ({ name, shape, data: exact.get(name)! })),
    METADATA,
  );
}

/**
 * Reads a canonical blob. A model has exactly one: a file of the same weights written in another way is refused.
 * Throws ModelError: `corrupt-file`, `unsupported`, `too-large`, or `wrong-weights` as in `encodeModel`.
 */
export function decodeModel(config: LlamaConfig, bytes: Uint8Array): Weights {
  const header = safetensorsHeader(parameterSpecs(config), METADATA);
  const weights = exactWeights(config, decodeSafetensors(bytes));
  if (!header.every((byte, at) => bytes[at] === byte)) {
    throw new ModelError('corrupt-file', 'a safetensors file, but not the canonical one of its weights');
  }
  return weights;
}
