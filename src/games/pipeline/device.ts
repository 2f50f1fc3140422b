// What a device keeps loaded between the rounds of a run in stages: its stage. It goes when the device goes, or gets another stage.
import type { ParameterSpec, Weights } from '../../model/config.ts';
import { openStage, type Stage } from '../../model/pipeline/stage.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { changeBetween } from '../../training/inner.ts';
import type { Device, TensorSource } from '../game.ts';
import { AFRESH, type Carried, type TakeCarried, type Taken } from '../pretrain/carried.ts';
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

/** Sets a stage to what its worker began the round with. */
export async function beginStage(loaded: Stage, { stage }: StagePlan, before: Weights, { moments }: Carried) {
  const { steps, first, second } = moments;
  await loaded.forget();
  await loaded.setWeights(namedInStage(stage, before));
  await loaded.setOptimiserState({
    steps,
    first: namedInStage(stage, first),
    second: namedInStage(stage, second),
  });
}

/**
 * Sets a stage to what its worker begins a round with, a few tensors at a time: training it takes most of what a device may have.
 * @returns the hash of what it begins with, and its error feedback
 */
export async function beginRound(
  loaded: Stage,
  { stage, specs, frozen }: StagePlan,
  state: TensorSource,
  start: (take: TakeCarried) => Promise<Taken | null>,
): Promise<{ readonly hash: Uint8Array; readonly error: Map<string, Float32Array> }> {
  const error = new Map<string, Float32Array>();
  const set = (kind: 'first' | 'second', name: string, values: Float32Array): Promise<void> =>
    loaded.setSome(kind, new Map([[inStage(stage, name), values]]));
  await loaded.forget();
  // The runtime's own errors are none of a damaged state.
  let failed: { readonly error: unknown } | null = null;
  const begun = await start(async (group, name, values) => {
    if (group === 'error') error.set(name, values);
    else
      await set(group, name, values).catch((error) => {
        failed ??= { error };
      });
  });
  if (failed !== null) throw (failed as { readonly error: unknown }).error;
  if (begun === null) {
    error.clear();
    for (const some of fewAtATime(specs)) {
      const zeros = new Map(some.map(({ name, shape }) => [inStage(stage, name), new Float32Array(sizeOf(shape))]));
      for (const kind of ['first', 'second'] as const) await loaded.setSome(kind, zeros);
    }
  }
  loaded.steps = begun?.steps ?? 0;
  for (const some of fewAtATime([...specs, ...frozen])) {
    await loaded.setSome('weights', namedInStage(stage, await state.read(some.map(({ name }) => name))));
  }
  return { hash: begun?.hash ?? AFRESH, error };
}

/** What is read together is no larger than this, or one tensor: a part of a state, which has 16 MiB, is read two or three times. */
const TOGETHER_BYTES = 8 << 20;

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

/** The moments that a stage has now. */
export async function momentsOf(loaded: Stage, { stage }: StagePlan): Promise<Carried['moments']> {
  const { steps, first, second } = await loaded.optimiserState();
  return { steps, first: namedInState(stage, first), second: namedInState(stage, second) };
}

/** What a round has changed of these tensors, weights before minus weights now; null where that is not finite. */
export async function changeOf(
  loaded: Stage,
  { stage, specs }: Pick<StagePlan, 'stage' | 'specs'>,
  before: Weights,
): Promise<Weights | null> {
  const names = specs.map(({ name }) => name);
  const after = namedInState(stage, await loaded.weights(names.map((name) => inStage(stage, name))));
  return changeBetween(names, before, after);
}

/** Weights under the names of the run's state, and under a stage's own. */
export const namedInState = (stage: number, weights: Weights): Weights =>
  renamed(weights, (name) => inState(stage, name));
export const namedInStage = (stage: number, weights: Weights): Weights =>
  renamed(weights, (name) => inStage(stage, name));

const renamed = (weights: Weights, to: (name: string) => string): Weights =>
  new Map([...weights].map(([name, values]) => [to(name), values]));

/** The weights of a stage, under the names of the run's state. */
export const weightsOf = (state: TensorSource, { specs, frozen }: StagePlan): Promise<Weights> =>
  state.read([...specs, ...frozen].map(({ name }) => name));

/** The settings of the data, which are those of other training. */
export const dataOf = (params: PipelineParams): PretrainParams => ({ ...params, distil: null });
