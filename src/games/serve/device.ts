// The served model on a device: loaded once by its hash, one text at a time.
import { weightsInBlocks } from '../../model/block-rounding.ts';
import { modelTensors } from '../../model/checkpoint.ts';
import type { LlamaConfig, Weights } from '../../model/config.ts';
import { type Decoder, openDecoder } from '../../model/generate.ts';
import type { Device } from '../game.ts';
import { readTensors } from '../state.ts';
import type { ServeParams } from './params.ts';

/** A model as it is computed with. */
export interface ServedModel {
  readonly config: LlamaConfig;
  readonly weights: Weights;
}

/** Reads a version of the run's model. */
export async function readModel({ model }: ServeParams, hash: string, device: Device): Promise<ServedModel> {
  const specs = modelTensors(model, 'f32');
  const weights = new Map<string, Float32Array>();
  for await (const values of readTensors(specs, hash, (one) => device.fetchBlob(one))) {
    weights.set(specs[weights.size].name, values);
  }
  return { config: model, weights };
}

/** The model as the run promises it. */
export async function promisedModel(params: ServeParams, device: Device): Promise<ServedModel> {
  const { config, weights } = await readModel(params, params.weights, device);
  const { quantisation } = params;
  return { config, weights: quantisation === 'f32' ? weights : weightsInBlocks(config, weights, quantisation) };
}

/** A decoder that is used by one text after the other. */
export interface Served {
  use<T>(work: (decoder: Decoder) => Promise<T>): Promise<T>;
}

export async function openServed(model: ServedModel, params: ServeParams, device: Device): Promise<Served> {
  const decoder = await openDecoder(device.runtime, model, params.prompt_tokens + params.max_tokens);
  let last: Promise<unknown> = Promise.resolve();
  return {
    use(work) {
      const result = last.then(() => work(decoder));
      last = result.catch(() => {}); // whoever asked handles the error
      return result;
    },
  };
}

/** What a device has loaded hangs on it, so that it goes when the device goes. */
const loaded = new WeakMap<Device, Promise<Served>>();

/** The promised model, loaded when it is first asked for. A failure is not remembered. */
export function servedOn(device: Device, params: ServeParams): Promise<Served> {
  const known = loaded.get(device);
  if (known) return known;
  const loading = promisedModel(params, device).then((model) => openServed(model, params, device));
  loaded.set(device, loading);
  loading.catch(() => loaded.delete(device));
  return loading;
}
