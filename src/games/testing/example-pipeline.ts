// A tiny run in stages for tests: its settings, text and first state, and devices that hear each other in memory.
import type { z } from 'zod';
import type { LlamaConfigInput, Weights } from '../../model/config.ts';
import { initialStageWeights } from '../../model/pipeline/initial.ts';
import { systemClock } from '../../protocol/clock.ts';
import { gameStatement } from '../../protocol/game-statement.ts';
import { createIdentity, type Identity } from '../../protocol/identity.ts';
import { createNativeRuntime } from '../../tensor/native-runtime.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import { encodeBundle } from '../bundle.ts';
import type { Claim, Device, DeviceChannel, Round, TensorSource } from '../game.ts';
import { memoryDrawer } from '../memory-drawer.ts';
import { namedInState } from '../pipeline/device.ts';
import { type PipelineParams, PipelineParamsSchema, stagePlans, stateTensors } from '../pipeline/params.ts';
import { game } from '../pipeline.ts';
import { exampleData } from './example-data.ts';

type Listener = (from: string, message: Uint8Array) => Promise<void>;

/** A network of devices in memory: messages of one to another come in order, one at a time. */
export class Air {
  readonly run: string;
  /** Who is here, with their stages. */
  readonly stages = new Map<string, number>();
  /** What judges know of who has held which stage in the round; null: nothing. */
  held: ReadonlyMap<string, ReadonlySet<number>> | null = null;
  /** Validators, who are here as well. */
  readonly validators = new Set<string>();
  /** Called for each message; false: it is lost, and its sender is told. */
  passes: (from: string, to: string, message: Uint8Array) => boolean = () => true;
  readonly #listeners = new Map<string, Listener>();
  readonly #lanes = new Map<string, Promise<unknown>>();

  constructor(run: string) {
    this.run = run;
  }

  /** Nobody is here any more, and nothing is under way: keys may come again. */
  clear(): void {
    this.stages.clear();
    this.#listeners.clear();
    this.#lanes.clear();
  }

  channel(identity: Identity): DeviceChannel {
    const from = identity.id;
    return {
      clock: systemClock,
      stages: () => this.stages,
      held: () => this.held,
      sign: (statement) => identity.sign(gameStatement(this.run, statement)),
      listen: (listener) => {
        this.#listeners.set(from, listener);
        return () => this.#listeners.delete(from);
      },
      send: (to, message, signal) => this.#send(from, to, message, signal),
    };
  }

  async #send(from: string, to: string, message: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const lane = `${from} ${to}`;
    const heard = (this.#lanes.get(lane) ?? Promise.resolve()).then(async () => {
      const listener = this.#listeners.get(to);
      const isHere = this.stages.has(to) || this.validators.has(to);
      if (!listener || !isHere || !this.passes(from, to, message)) throw new Error('not here');
      await listener(from, message);
    });
    this.#lanes.set(
      lane,
      heard.catch(() => {}),
    );
    if (!signal) return heard;
    const stopped = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    return Promise.race([heard, stopped]);
  }
}

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
