// A tiny pre-training run for tests: its settings, its text, its first model, and devices with a drawer in memory.

import type { Weights } from '../../model/config.ts';
import { initialWeights } from '../../model/init.ts';
import { createNativeRuntime } from '../../tensor/native-runtime.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import type { DatasetManifest } from '../../training/shards.ts';
import { encodeBundle } from '../bundle.ts';
import type { Claim, Device, Judging, Round } from '../game.ts';
import { memoryDrawer } from '../memory-drawer.ts';
import { type PretrainParams, PretrainParamsSchema } from '../pretrain/params.ts';
import { decodeWork, encodeWork } from '../pretrain/work.ts';
import { exampleData } from './example-data.ts';

/** A device that writes down what it fetches. */
export type ExampleDevice = Device & { readonly fetched: Set<string> };

export interface PretrainExample {
  readonly runtime: Runtime;
  readonly blobs: Map<string, Uint8Array>;
  readonly params: PretrainParams;
  readonly manifest: DatasetManifest;
  readonly weights: Weights;
  device(): ExampleDevice;
  /** Keeps the blob of a round in which this alone was merged; its hash. */
  bundleOf(claim: Claim): string;
}

/** The caller closes its runtime. */
export async function pretrainExample(): Promise<PretrainExample> {
  const runtime = await createNativeRuntime({ threads: 1 });
  const { blobs, keep, manifest, dataset, vocab_size } = await exampleData();
  const params = PretrainParamsSchema.parse({
    model: {
      vocab_size,
      hidden_size: 16,
      intermediate_size: 32,
      num_hidden_layers: 1,
      num_attention_heads: 2,
    },
    dataset,
    batch: 4,
    context: 16,
    inner_steps: 20,
    learning_rate: 0.01,
    min_learning_rate: 0.01,
    warmup_steps: 0,
  });
  return {
    ...{ runtime, blobs, params, manifest, weights: initialWeights(params.model, 'test') },
    device: () => deviceOn(runtime, blobs),
    bundleOf: ({ work, amount }) => keep(encodeBundle([{ work, weight: amount }])),
  };
}

function deviceOn(runtime: Runtime, blobs: ReadonlyMap<string, Uint8Array>): ExampleDevice {
  const fetched = new Set<string>();
  return {
    fetched,
    runtime,
    fetchBlob: async (hash) => {
      fetched.add(hash);
      return blobs.get(hash)!;
    },
    drawer: memoryDrawer(),
    progress: async () => {},
  };
}

export const round = (
  number: number,
  { seed = 'a'.repeat(64), draw = null, last = null }: Partial<Round> = {},
): Round => ({
  ...{ run: 'r', number, rounds: 10, seed, draw, last },
});

/** Of a judge that looks and repeats everything. */
export const judging: Judging = {
  runtime: 'native-cpu',
  repeat_permille: 1000,
  looks: true,
  place: 0,
  time_ms: 60_000,
  earlier: async () => [],
};

/** Somebody's claim with another update in its work. */
export function withUpdate(claim: Claim, update: Uint8Array): Claim {
  return { ...claim, work: encodeWork({ ...decodeWork(claim.work), update }) };
}
