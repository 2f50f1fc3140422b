// A tiny run in stages for tests: its settings, text and first state, and devices that hear each other in memory.
import type { z } from 'zod';
import type { LlamaConfigInput, Weights } from '../../model/config.ts';
import { initialStageWeights } from '../../model/pipeline/initial.ts';
import { createIdentity, type Identity } from '../../protocol/identity.ts';
import { createNativeRuntime } from '../../tensor/native-runtime.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import { encodeBundle } from '../bundle.ts';
import type { Claim, Device, Round, TensorSource } from '../game.ts';
import { Air } from '../memory-channel.ts';
import { memoryDrawer } from '../memory-drawer.ts';
import { namedInState } from '../pipeline/device.ts';
import { type PipelineParams, PipelineParamsSchema, stagePlans, stateTensors } from '../pipeline/params.ts';
import { game } from '../pipeline.ts';
import { exampleData } from './example-data.ts';

export interface Worker {
  readonly id: string;
  readonly device: Device;
  readonly stage: number;
}

export interface PipelineExample {
  readonly runtime: Runtime;
  readonly params: PipelineParams;
  readonly air: Air;
  readonly blobs: Map<string, Uint8Array>;
  readonly first: Weights;
  /** A device of this stage that is here; one without a stage is a validator's. */
  worker(stage: number | null, identity?: Identity): Worker;
  round(number: number, stage: number, last?: string | null): Round;
  /** The blob with the merged work of a round. */
  bundleOf(claims: readonly Claim[]): string;
}

export const RUN = 'a'.repeat(64);

/** Reads from weights in memory, and notes what was read. */
export function sourceOf(weights: Weights, read: Set<string> = new Set()): TensorSource {
  return {
    async read(names) {
      for (const name of names) read.add(name);
      return new Map(names.map((name) => [name, weights.get(name)!]));
    },
  };
}

/** The state after a round. */
export function merged(params: PipelineParams, before: Weights, claims: readonly Claim[]): Weights {
  const merge = game.openMerge(
    params,
    claims.map(({ work, amount }) => ({ work, weight: amount })),
  );
  return new Map(stateTensors(params).map((spec) => [spec.name, merge(spec, before.get(spec.name)!)]));
}

const TINY = { hidden_size: 16, intermediate_size: 32, num_hidden_layers: 4, num_attention_heads: 2 };

export type ExampleSettings = Partial<Omit<z.input<typeof PipelineParamsSchema>, 'model' | 'dataset'>> & {
  readonly model?: Partial<LlamaConfigInput>;
};

/** `settings`: beside those of the example. Its runtime is `on`, or a native one of its own; the caller closes it. */
export async function pipelineExample(
  { model, ...settings }: ExampleSettings = {},
  { text, on }: { readonly text?: string; readonly on?: Runtime } = {},
): Promise<PipelineExample> {
  const runtime = on ?? (await createNativeRuntime({ threads: 1 }));
  const { blobs, keep, dataset, vocab_size } = await exampleData(text);
  const params = PipelineParamsSchema.parse({
    ...{ batch: 4, context: 16, inner_steps: 5, micro_batches: 2, stages: 3 },
    ...{ learning_rate: 0.01, min_learning_rate: 0.01, warmup_steps: 0 },
    sparse: { step: null },
    ...settings,
    dataset,
    model: { ...TINY, vocab_size, tie_word_embeddings: false, ...model },
  });
  const first = new Map<string, Float32Array>();
  for (const plan of stagePlans(params)) {
    const own = initialStageWeights(params.model, plan.range, plan, 'test');
    for (const [name, values] of namedInState(plan.stage, own)) {
      first.set(name, values);
    }
  }
  const air = new Air(RUN);
  const fetchBlob = async (hash: string): Promise<Uint8Array> => {
    const blob = blobs.get(hash);
    if (!blob) throw new Error(`no blob ${hash}`);
    return blob;
  };
  return {
    ...{ runtime, params, air, blobs, first },
    worker(stage, identity = createIdentity()) {
      if (stage === null) air.validators.add(identity.id);
      else air.stages.set(identity.id, stage);
      const channel = air.channel(identity);
      const device = { runtime, fetchBlob, drawer: memoryDrawer(), channel, progress: async () => {} };
      return { id: identity.id, device, stage: stage ?? -1 };
    },
    bundleOf: (claims) => keep(encodeBundle(claims.map(({ work, amount }) => ({ work, weight: amount })))),
    round: (number, stage, last = null) => ({
      ...{ run: RUN, number, rounds: 10, seed: String(number).padStart(64, '5'), draw: null, last, stage },
    }),
  };
}
