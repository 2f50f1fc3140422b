// What a device keeps loaded between the rounds of a run in stages: its stage. It goes when the device goes, or gets another stage.
import type { ParameterSpec, Weights } from '../../model/config.ts';
import { openStage, type Stage } from '../../model/pipeline/stage.ts';
import { free } from '../../tensor/freed.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { changeBetween } from '../../training/inner.ts';
import type { Device, TensorSource } from '../game.ts';
import { AFRESH, type TakeCarried, type Taken } from '../pretrain/carried.ts';
import type { PretrainParams } from '../pretrain/params.ts';
import { inStage, inState, type PipelineParams, type StagePlan, stageOptions } from './params.ts';

interface Loaded {
  readonly stage: number;
  readonly opened: Promise<Stage>;
}
const loaded = new WeakMap<Device, Loaded>();

/** The stage on this device's runtime; another one that was loaded there is closed. */
export async function stageOn(device: Device, params: PipelineParams, plan: StagePlan): Promise<Stage> {
  const known = loaded.get(device);
  if (known?.stage === plan.stage) return known.opened;
  if (known) await known.opened.then((stage) => stage.close());
  const opened = openStage(device.runtime, params.model, stageOptions(params, plan));
  loaded.set(device, { stage: plan.stage, opened });
  opened.catch(() => loaded.delete(device)); // the caller sees the error; the next who asks tries again
  return opened;
}

/** What a stage has begun a round with: the hash that names it, and its error feedback, which is read when it is needed. */
export type Begun = Pick<Taken, 'hash' | 'error' | 'steps'>;
const NOTHING: Begun = { hash: AFRESH, steps: 0, error: async () => new Map() };

/**
 * Sets a stage to what its worker begins a round with, a few tensors at a time: training it takes most of what a device may have.
 * @param start reads what is carried; null: nothing is
 */
export async function beginRound(
  loaded: Stage,
  plan: StagePlan,
  state: TensorSource,
  start: (take: TakeCarried) => Promise<Taken | null>,
): Promise<Begun> {
  const { stage, specs } = plan;
  await loaded.forget();
  // The runtime's own errors are none of a damaged state.
  let failed: { readonly error: unknown } | null = null;
  const begun = await start(async (group, name, values) => {
    // Nothing in training needs the error feedback.
    if (group !== 'error') {
      await loaded.setSome(group, new Map([[inStage(stage, name), values]])).catch((error) => {
        failed ??= { error };
      });
    }
    free(values);
  });
  if (failed !== null) throw (failed as { readonly error: unknown }).error;
  if (begun === null) {
    for (const some of fewAtATime(specs)) {
      const zeros = new Map(some.map(({ name, shape }) => [inStage(stage, name), new Float32Array(sizeOf(shape))]));
      for (const kind of ['first', 'second'] as const) await loaded.setSome(kind, zeros);
      free(...zeros.values());
    }
  }
  loaded.steps = begun?.steps ?? 0;
  await setWeights(loaded, plan, state);
  return begun ?? NOTHING;
}

/** Sets a stage's weights to those of a state, a few tensors at a time. */
export async function setWeights(
  loaded: Stage,
  { stage, specs, frozen }: StagePlan,
  state: TensorSource,
): Promise<void> {
  for (const some of fewAtATime([...specs, ...frozen])) {
    await loaded.setSome('weights', namedInStage(stage, await state.read(some.map(({ name }) => name))));
  }
}

/** What is read together is no larger than this, or one tensor: a part of a state, which has 16 MiB, is read four or five times. */
const TOGETHER_BYTES = 4 << 20;

/** All of them in order, a few at a time. */
export function* fewAtATime(specs: readonly ParameterSpec[]): Generator<readonly ParameterSpec[]> {
  let some: ParameterSpec[] = [];
  let bytes = 0;
  for (const spec of specs) {
    const more = 4 * sizeOf(spec.shape);
    if (some.length > 0 && bytes + more > TOGETHER_BYTES) {
      yield some;
      some = [];
      bytes = 0;
    }
    some.push(spec);
    bytes += more;
  }
  if (some.length > 0) yield some;
}

/** How many steps a stage's moments have seen, as one value, then its first and its second moments, in the order in which they are kept (carried.ts). */
export async function* momentsOf(loaded: Stage, { stage, specs }: StagePlan): AsyncGenerator<Float32Array> {
  yield Float32Array.of(loaded.steps);
  for (const kind of ['first', 'second'] as const) {
    for (const some of fewAtATime(specs)) {
      yield* (
        await loaded.moments(
          kind,
          some.map(({ name }) => inStage(stage, name)),
        )
      ).values();
    }
  }
}

/** What a round has changed of a tensor, weights before minus weights now; its error feedback before the round, if there was any. */
export interface Change {
  readonly spec: ParameterSpec;
  readonly change: Float32Array;
  readonly error: Float32Array | undefined;
}

/** What a round has changed, tensor after tensor, each until the next is asked for; null stands for a change that is not finite, and ends it. */
export async function* changesOf(
  loaded: Stage,
  { stage, specs }: StagePlan,
  before: TensorSource,
  { error }: Pick<Begun, 'error'>,
): AsyncGenerator<Change | null> {
  for (const some of fewAtATime(specs)) {
    const names = some.map(({ name }) => name);
    const after = namedInState(stage, await loaded.weights(names.map((name) => inStage(stage, name))));
    const changes = changeBetween(names, await before.read(names), after);
    free(...after.values());
    if (changes === null) return yield null;
    const errors = await error(names);
    for (const spec of some) {
      yield { spec, change: changes.get(spec.name)!, error: errors.get(spec.name) };
      free(changes.get(spec.name)!, ...(errors.has(spec.name) ? [errors.get(spec.name)!] : []));
    }
  }
}

/** Weights under the names of the run's state, and under a stage's own. */
export const namedInState = (stage: number, weights: Weights): Weights =>
  renamed(weights, (name) => inState(stage, name));
export const namedInStage = (stage: number, weights: Weights): Weights =>
  renamed(weights, (name) => inStage(stage, name));

const renamed = (weights: Weights, to: (name: string) => string): Weights =>
  new Map([...weights].map(([name, values]) => [to(name), values]));

/** The settings of the data, which are those of other training. */
export const dataOf = (params: PipelineParams): PretrainParams => ({ ...params, distil: null });
