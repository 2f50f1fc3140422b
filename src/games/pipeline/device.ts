// What a device keeps loaded between the rounds of a run in stages: its stage. It goes when the device goes, or gets another stage.
import type { Weights } from '../../model/config.ts';
import { openStage, type Stage } from '../../model/pipeline/stage.ts';
import type { Device, TensorSource } from '../game.ts';
import type { Carried } from '../pretrain/carried.ts';
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

/** The moments that a stage has now. */
export async function momentsOf(loaded: Stage, { stage }: StagePlan): Promise<Carried['moments']> {
  const { steps, first, second } = await loaded.optimiserState();
  return { steps, first: namedInState(stage, first), second: namedInState(stage, second) };
}

/** What a round has changed, weights before minus weights now; null where that is not finite. */
export async function changeOf(loaded: Stage, { stage, specs }: StagePlan, before: Weights): Promise<Weights | null> {
  const after = namedInState(stage, await loaded.weights());
  const delta = new Map<string, Float32Array>();
  for (const { name } of specs) {
    const [was, is] = [before.get(name)!, after.get(name)!];
    const change = new Float32Array(was.length);
    for (let i = 0; i < change.length; i++) {
      change[i] = was[i] - is[i];
      if (!Number.isFinite(change[i])) return null;
    }
    delta.set(name, change);
  }
  return delta;
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
