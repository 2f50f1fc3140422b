// A run in stages for the simulator: the real game on a model that is as small as one can be cut, with a little text.

import { memoryBlobs } from '../games/memory-blobs.ts';
import type { PipelineParams } from '../games/pipeline/params.ts';
import { PipelineParamsSchema, stateTensors } from '../games/pipeline/params.ts';
import { game } from '../games/pipeline.ts';
import { readTensors } from '../games/state.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { keepFirstStages } from '../owner/staged-start.ts';
import { buildDataset } from '../training/dataset.ts';
import { encodeManifest } from '../training/shards.ts';
import type { GameSetup } from './play-setup.ts';

export interface StagedShape {
  readonly stages: number;
  readonly inner_steps: number;
  readonly micro_batches: number;
}

export interface StagedSetup extends GameSetup {
  readonly params: PipelineParams;
}

const SMALLEST = { hidden_size: 2, intermediate_size: 2, num_attention_heads: 1, tie_word_embeddings: false };
const TEXT = 'the quick brown fox jumps over the lazy dog. '.repeat(60);

export async function setUpStages({ stages, inner_steps, micro_batches }: StagedShape): Promise<StagedSetup> {
  const { blobs, put } = memoryBlobs();
  const tokenizer = byteTokenizer();
  const dataset = await put(encodeManifest(await buildDataset([TEXT], tokenizer, put)));
  const params = PipelineParamsSchema.parse({
    ...{ batch: 1, context: 4, inner_steps, micro_batches, stages, dataset, evaluation_sequences: 2 },
    ...{ learning_rate: 0.01, min_learning_rate: 0.01, warmup_steps: 0, sparse: { step: null } },
    model: { ...SMALLEST, num_hidden_layers: stages, vocab_size: tokenizer.vocab_size },
  });
  const state = memoryBlobs();
  const hash = await keepFirstStages(params, 'simulated', undefined, state.put);
  const specs = stateTensors(params);
  const first = new Map<string, Float32Array>();
  for await (const values of readTensors(specs, hash, async (name) => state.blobs.get(name)!)) {
    first.set(specs[first.size].name, values);
  }
  return { game, params, first, blobs };
}
