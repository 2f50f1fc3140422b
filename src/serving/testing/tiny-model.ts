// A model of a few thousand weights for tests of answers: random, but far from uniform, and quick to load.
import { after } from 'node:test';
import { LlamaConfigSchema, type Weights } from '../../model/config.ts';
import { randomWeights } from '../../model/testing/random-weights.ts';
import { byteTokenizer } from '../../model/tokenizer.ts';
import { createNativeRuntime } from '../../tensor/native-runtime.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import type { AnswerEvent, AnswerRequest } from '../answers.ts';
import type { Engine } from '../engine.ts';
import { type OwnEngineOptions, openOwnEngine } from '../engine-own.ts';

export const TINY_CONTEXT = 96;
export const TINY_HASH = '7'.repeat(64);
export const TINY_CONFIG = LlamaConfigSchema.parse({
  vocab_size: 257,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: TINY_CONTEXT,
});

/** Weights large enough that some tokens are likely and most are not. */
export const tinyWeights = (seed: string): Weights => randomWeights(TINY_CONFIG, { seed: ['tiny weights', seed] });

/** Opens the engine for a test file, which closes it when it is through. */
export async function openTinyEngine(
  weights: Weights,
  options: OwnEngineOptions = {},
  createRuntime: (options: { threads: number }) => Promise<Runtime> = createNativeRuntime,
): Promise<Engine> {
  const runtime = await createRuntime({ threads: 1 });
  const model = { config: TINY_CONFIG, weights, tokenizer: byteTokenizer(), hash: TINY_HASH };
  const engine = await openOwnEngine(runtime, model, options);
  after(() => engine.close().finally(() => runtime.close()));
  return engine;
}

/** A request for a plain continuation. */
export function requestOf(change: Partial<AnswerRequest> & { readonly seed?: string }): AnswerRequest {
  const { seed = 'tiny', ...rest } = change;
  return {
    model: 'tiny',
    prompt: { kind: 'text', text: 'potluck' },
    written: [],
    max_tokens: 24,
    stop: [],
    sampling: { seed, temperature: 1, top_p: 1, presence_penalty: 0, frequency_penalty: 0, logit_bias: [] },
    top_logprobs: null,
    echo: false,
    format: { kind: 'text' },
    ...rest,
  };
}

/** All events of an answer, and what they add up to. */
export async function wholeAnswer(events: AsyncIterable<AnswerEvent>) {
  const all: AnswerEvent[] = [];
  for await (const event of events) all.push(event);
  const tokens = all.filter((event) => event.kind === 'token');
  const written = tokens.filter(({ echoed }) => !echoed);
  const ended = all.at(-1);
  if (ended?.kind !== 'ended') throw new Error('the answer has no end');
  return {
    all,
    tokens,
    written,
    ids: written.map(({ id }) => id),
    text: written.map(({ text }) => text).join('') + ended.text,
    ended,
  };
}
