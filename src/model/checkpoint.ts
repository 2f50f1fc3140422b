// A model's tensors under their names in the network, and its weights as one safetensors file, written piece by piece.
import { sizeOf } from '../tensor/shape.ts';
import { type LlamaConfig, parameterSpecs, type Weights } from './config.ts';
import { encodeValues, type RoundedDtype } from './dtypes.ts';
import { ModelError } from './errors.ts';
import { checkFinite } from './parts.ts';
import { safetensorsHeader } from './safetensors.ts';
import type { TensorSpec } from './tensor-manifest.ts';

/** transformers refuses a safetensors file that does not say which framework laid out its tensors. */
const METADATA = { format: 'pt' };

/** The weights of a model as its manifest lists them, in the order of `parameterSpecs`. */
export const modelTensors = (config: LlamaConfig, dtype: RoundedDtype): TensorSpec[] =>
  parameterSpecs(config).map(({ name, shape }) => ({ name, dtype, shape }));

/** What precedes the bytes of the tensors in model.safetensors. */
export const modelFileHeader = (config: LlamaConfig, dtype: RoundedDtype): Uint8Array =>
  safetensorsHeader(modelTensors(config, dtype), METADATA);

/**
 * The pieces of model.safetensors, in order: its header, then each tensor, which may share the memory of the weights.
 * The same weights give the same file. Throws ModelError `wrong-weights` for missing or extra weights, wrong lengths, NaN and infinities,
 * values that the dtype cannot hold.
 */
export function modelFile(config: LlamaConfig, weights: Weights, dtype: RoundedDtype = 'f32'): Iterable<Uint8Array> {
  const specs = parameterSpecs(config);
  const names = new Set(specs.map(({ name }) => name));
  for (const name of weights.keys()) {
    if (!names.has(name)) throw new ModelError('wrong-weights', `"${name}" is no weight of this model`, { name });
  }
  for (const { name, shape } of specs) {
    const data = weights.get(name);
    if (!data) throw new ModelError('wrong-weights', `the weight "${name}" is missing`, { name });
    if (data.length !== sizeOf(shape)) {
      throw new ModelError('wrong-weights', `"${name}" has ${data.length} values, expected ${sizeOf(shape)}`, { name });
    }
    checkFinite(name, data);
  }
  return [modelFileHeader(config, dtype), ...specs.map(({ name }) => encodeValues(dtype, weights.get(name)!))];
}

/**
 * The same pieces, of tensors in the order of `parameterSpecs`: each is let go before the next one is taken, so that a model need not fit into
 * memory. Throws ModelError `wrong-weights` as above, with the first tensor that is wrong.
 */
export async function* modelFileOf(
  config: LlamaConfig,
  tensors: AsyncIterable<Float32Array>,
  dtype: RoundedDtype = 'f32',
): AsyncGenerator<Uint8Array> {
  yield modelFileHeader(config, dtype);
  const specs = parameterSpecs(config);
  let at = 0;
  for await (const values of tensors) {
    const spec = specs[at++];
    if (!spec || values.length !== sizeOf(spec.shape)) {
      const expected = spec ? `${sizeOf(spec.shape)} values of "${spec.name}"` : `${specs.length} tensors`;
      throw new ModelError('wrong-weights', `safetensors: expected ${expected}, got ${values.length} values`);
    }
    checkFinite(spec.name, values);
    yield encodeValues(dtype, values);
  }
  if (at === specs.length) return;
  throw new ModelError('wrong-weights', `safetensors: expected ${specs.length} tensors, got ${at}`);
}
