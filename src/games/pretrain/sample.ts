// What the present model of a pre-training run writes: it goes on from the beginning of a held-out text, always the same one.
import { parameterSpecs, type Weights } from '../../model/config.ts';
import { generateWith, openDecoder } from '../../model/generate.ts';
import { tokenizerFromJson } from '../../model/tokenizer.ts';
import type { Device, Written } from '../game.ts';
import { heldOutBeginning, manifestOf } from './device.ts';
import { type PretrainParams, parameterCount } from './params.ts';

/** Tokens of held-out text that it goes on from, and new ones: some lines for people. */
const PROMPT_TOKENS = 24;
const NEW_TOKENS = 160;
/** Loading cannot be interrupted: a model that takes a processor more than a second or so to load writes nothing. */
const MOST_PARAMETERS = 50_000_000;
/** Text as people expect it: neither the likeliest word again and again, nor the unlikeliest. */
const SAMPLING = { temperature: 0.8, top_p: 0.95 } as const;
/** The same draws for every model: what differs between two samples is what was learned between them. */
const SEED = 'sample';

/** Longer sequences would cost more and show no more. */
const MOST_CONTEXT = 256;

/** Writes until the signal fires; null for models that are too large to do it beside other work. */
export async function writeSample(
  params: PretrainParams,
  weights: Weights,
  device: Device,
  signal: AbortSignal,
): Promise<Written | null> {
  const config = params.model;
  if (parameterCount(parameterSpecs(config)) > MOST_PARAMETERS) return null;
  const manifest = await manifestOf(device, params);
  const tokenizer = tokenizerFromJson(new TextDecoder().decode(await device.fetchBlob(manifest.tokenizer)));
  // It has never seen a longer sequence than this.
  const capacity = Math.min(config.max_position_embeddings, params.context, MOST_CONTEXT);
  // Room is left for what it writes.
  const read = Math.max(1, Math.min(PROMPT_TOKENS, Math.floor(capacity / 2) - 1));
  const prompt = tokenizer.decode(await heldOutBeginning(device, params, read));
  const decoder = await openDecoder(device.runtime, { config, weights }, capacity);
  let text = '';
  try {
    const options = { prompt, max_tokens: NEW_TOKENS, seed: SEED, signal, ...SAMPLING };
    for await (const piece of generateWith(decoder, tokenizer, options)) text += piece;
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await decoder.close();
  }
  return { prompt, text };
}
