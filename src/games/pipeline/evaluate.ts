// How good a model in stages is: its held-out text goes through one stage after the other, and a device holds one stage at a time.
import { batchFrom } from '../../training/assignment.ts';
import type { Batch } from '../../training/inner.ts';
import { mean } from '../../training/statistics.ts';
import type { Device, Numbers, TensorSource } from '../game.ts';
import { manifestOf, validationWindows } from '../pretrain/device.ts';
import { toldMicro } from '../pretrain/work.ts';
import { dataOf, setWeights, stageOn } from './device.ts';
import { type PipelineParams, type StagePlan, stagePlans } from './params.ts';

/** A batch on its way through the stages. */
interface Passing {
  readonly batch: Batch;
  activations: Uint8Array | null;
}

export async function evaluate(params: PipelineParams, state: TensorSource, device: Device): Promise<Numbers> {
  const passing = await heldOut(params, device);
  let losses: number[] = [];
  for (const plan of stagePlans(params)) losses = await throughStage(params, plan, state, device, passing);
  return { loss_micro: toldMicro(mean(losses)) };
}

async function heldOut(params: PipelineParams, device: Device): Promise<Passing[]> {
  const data = dataOf(params);
  const manifest = await manifestOf(device, data);
  const batches = Math.max(1, Math.ceil(params.evaluation_sequences / params.batch));
  const windows = await validationWindows(device, manifest, data, batches * params.batch);
  const passing: Passing[] = [];
  for (let start = 0; start < windows.length; start += params.batch) {
    const batch = batchFrom(windows.slice(start, start + params.batch), params.context);
    passing.push({ batch, activations: null });
  }
  return passing;
}

/** Moves every batch on; @returns the losses of the last stage */
async function throughStage(
  params: PipelineParams,
  plan: StagePlan,
  state: TensorSource,
  device: Device,
  passing: readonly Passing[],
): Promise<number[]> {
  const stage = await stageOn(device, params, plan);
  const losses: number[] = [];
  await setWeights(stage, plan, state);
  for (const [i, one] of passing.entries()) {
    const { tokens, targets } = one.batch;
    const input = { tokens, activations: one.activations, name: `evaluation ${i}` };
    if (plan.range.head) losses.push(...(await stage.losses(input, targets)));
    else one.activations = await stage.forward(input);
  }
  return losses;
}
