// What a device keeps loaded between the rounds of a run in stages: its stage. It goes when the device goes, or gets another stage.
import type { Weights } from '../../model/config.ts';
import { openStage, type Stage } from '../../model/pipeline/stage.ts';
import type { Device, TensorSource } from '../game.ts';
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
