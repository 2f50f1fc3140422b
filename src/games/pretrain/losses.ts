// What an update does to the loss, on the worker's own data and on data that nobody was assigned, at a small step: along a direction that
// learns, a small step does good however long the whole one is (Gauntlet, arXiv 2505.21684).

import type { ParameterSpec, Weights } from '../../model/config.ts';
import type { Batch } from '../../training/inner.ts';
import { mergeUpdates } from '../../training/outer.ts';
import type { SparseOptions, SparseUpdate } from '../../training/sparse.ts';
import { mean } from '../../training/statistics.ts';
import { besideLoss } from '../../training/tolerances.ts';
import type { Device } from '../game.ts';
import { evaluatorOf, loadedOf, type Measured, openData, VALIDATOR_DATA, WORKER_DATA } from './device.ts';
import type { PretrainTask } from './params.ts';

/** The part of an outer step that an update is tried at. */
export const SMALL_STEP = 0.25;
/** So many of a thousand judges look at a drawn step and the next one, the others at the first step alone: it costs them one batch more. */
const LOOKING_PERMILLE = 667;
/** An update is harmful when, at two standard errors, the small step raises the loss by more than this (nats, beside usual losses). */
const HARM_LIMIT = 0.0025;

export interface LossChange {
  /** Mean losses of all sequences that were looked at, in nats. */
  readonly before: number;
  readonly after: number;
  /** What the small step takes off the loss, by whose data it is. */
  readonly assigned: number;
  readonly random: number;
  readonly harm: { readonly mean: number; readonly standard_error: number; readonly limit: number };
  readonly harmful: boolean;
}

/** The model after a part of the step that the update alone would be, in float32: rounding would swallow most of it. Throws TrainingError where it leaves the finite numbers. */
export function smallStep(specs: readonly ParameterSpec[], task: PretrainTask, update: SparseUpdate): Weights {
  const { weights, params } = task;
  const sparse: SparseOptions = {
    ...params.sparse,
    outer_step: params.sparse.outer_step * SMALL_STEP,
    weights: 'f32',
  };
  return mergeUpdates(specs, weights, [{ update, weight: 1 }], sparse);
}

/** The loss of one of the worker's batches before its first step. */
export async function ownLosses(task: PretrainTask, device: Device, step: number): Promise<Measured> {
  const { params, round, peer, weights } = task;
  const data = await openData(device, params, round, peer, WORKER_DATA);
  return measure(task, device, await data.batch(step), weights);
}

/** Which of a worker's steps a judge looks at, by the place that was drawn for it; `next`: also at the one after. */
export function lookedAt(place: number, steps: number): { readonly step: number; readonly next: boolean } {
  const part = (1000 * place) / LOOKING_PERMILLE;
  return part < 1 && steps > 1 ? { step: Math.floor(part * (steps - 1)), next: true } : { step: 0, next: false };
}

/** The losses of a batch that nobody was assigned: once a round, for all submissions. */
function unassigned(task: PretrainTask, device: Device): Promise<Measured> {
  const loaded = loadedOf(device);
  const { params, round, weights } = task;
  // Drawn when the work is in: nobody can have learnt from these sequences because they would be looked at.
  const seed = round.draw ?? round.seed;
  if (loaded.unassigned?.weights !== weights || loaded.unassigned.seed !== seed) {
    const measured = openData(device, params, { ...round, seed }, 'nobody', VALIDATOR_DATA)
      .then((data) => data.batch(0))
      .then((batch) => measure(task, device, batch, weights));
    measured.catch(() => {
      loaded.unassigned = undefined;
    });
    loaded.unassigned = { weights, seed, measured };
  }
  return loaded.unassigned.measured;
}

/** Compares the same sequences before and after: half of a batch of the worker's own data, half of nobody's. */
export async function lossChange(
  task: PretrainTask,
  device: Device,
  own: Measured,
  moved: Weights,
): Promise<LossChange> {
  const { batch: size, context } = task.params;
  const others = await unassigned(task, device);
  const half = Math.ceil(size / 2);
  const mixed = size === 1 ? null : mix(own.batch, others.batch, half * context);
  const before = mixed
    ? [...own.losses.slice(0, half), ...others.losses.slice(half)]
    : [...own.losses, ...others.losses];
  const after: number[] = [];
  for (const batch of mixed ? [mixed] : [own.batch, others.batch]) {
    after.push(...(await measure(task, device, batch, moved)).losses);
  }
  const gains = before.map((loss, i) => loss - after[i]);
  const limit = besideLoss(HARM_LIMIT, mean(before));
  const harm = { ...interval(gains.map((gain) => -gain)), limit };
  return {
    ...{ before: mean(before), after: mean(after), harm },
    assigned: mean(gains.slice(0, half)),
    random: mean(gains.slice(half)),
    // Also where a loss has left the finite numbers.
    harmful: !(harm.mean - 2 * harm.standard_error <= limit),
  };
}

async function measure({ params }: PretrainTask, device: Device, batch: Batch, weights: Weights): Promise<Measured> {
  const evaluator = await evaluatorOf(device, params);
  await evaluator.setWeights(weights);
  return { batch, losses: Array.from(await evaluator.losses(batch)) };
}

/** The first tokens of one batch, the rest of another. */
function mix(one: Batch, other: Batch, tokens: number): Batch {
  const join = (a: Int32Array, b: Int32Array) => Int32Array.from(b, (token, i) => (i < tokens ? a[i] : token));
  return { tokens: join(one.tokens, other.tokens), targets: join(one.targets, other.targets) };
}

function interval(differences: readonly number[]): { readonly mean: number; readonly standard_error: number } {
  const centre = mean(differences);
  const variance = mean(differences.map((value) => (value - centre) ** 2));
  return { mean: centre, standard_error: Math.sqrt(variance / Math.max(1, differences.length - 1)) };
}
