// The served model on a device: loaded once by its hash; its texts share the weights.
import { modelTensors } from '../../model/checkpoint.ts';
import type { LlamaConfig, Weights } from '../../model/config.ts';
import { type DecodePool, openDecodePool, type PooledSequence } from '../../model/decode-pool.ts';
import type { Device } from '../game.ts';
import { readTensors } from '../state.ts';
import type { ServeParams } from './params.ts';

/** A model as it is computed with. */
export interface ServedModel {
  readonly config: LlamaConfig;
  readonly weights: Weights;
  readonly quantisation: ServeParams['quantisation'];
}

/** Reads a version of the run's model; it is to be computed with as the run promises. */
export async function readModel(params: ServeParams, hash: string, device: Device): Promise<ServedModel> {
  const specs = modelTensors(params.model, 'f32');
  const weights = new Map<string, Float32Array>();
  for await (const values of readTensors(specs, hash, (one) => device.fetchBlob(one))) {
    weights.set(specs[weights.size].name, values);
  }
  return { config: params.model, weights, quantisation: params.quantisation };
}

/** What a device has loaded hangs on it, so that it goes when the device goes. */
const loaded = new WeakMap<Device, Promise<DecodePool>>();

export const openServed = (model: ServedModel, device: Device): Promise<DecodePool> =>
  openDecodePool(device.runtime, model, model.quantisation);

/** The promised model, loaded when it is first asked for. A failure is not remembered. */
export function servedOn(device: Device, params: ServeParams): Promise<DecodePool> {
  const known = loaded.get(device);
  if (known) return known;
  const loading = readModel(params, params.weights, device).then((model) => openServed(model, device));
  loaded.set(device, loading);
  loading.catch(() => loaded.delete(device));
  return loading;
}

/** Works with a text of its own, whose place is given back afterwards. */
export async function withText<T>(
  pool: DecodePool,
  { prompt_tokens, max_tokens }: Pick<ServeParams, 'prompt_tokens' | 'max_tokens'>,
  work: (text: PooledSequence) => Promise<T>,
): Promise<T> {
  const text = pool.open(prompt_tokens + max_tokens);
  try {
    return await work(text);
  } finally {
    text.close();
  }
}
