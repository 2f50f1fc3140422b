// The present model of a pre-training run as a device serves it: its settings, its weights and the tokenizer of its data.
import type { Weights } from '../../model/config.ts';
import { tokenizerFromJson } from '../../model/tokenizer.ts';
import type { Device, TextModel } from '../game.ts';
import { manifestOf } from './device.ts';
import type { PretrainParams } from './params.ts';

export async function textModel(params: PretrainParams, weights: Weights, device: Device): Promise<TextModel> {
  const { tokenizer } = await manifestOf(device, params);
  const json = new TextDecoder().decode(await device.fetchBlob(tokenizer));
  return { config: params.model, weights, tokenizer: tokenizerFromJson(json) };
}
