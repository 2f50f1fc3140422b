// Re-execution of a worker's inner steps by a validator. Where the worker begins afresh, or the validator has repeated its last round, the
// validator has the worker's whole state and finds the same update but for rounding; elsewhere it only finds something like it.
import { bytesToHex } from '@noble/hashes/utils.js';
import type { ParameterSpec } from '../model/config.ts';
import { type InnerSteps, type Trained, type Trainer, trainSteps } from '../training/inner.ts';
import { decodeTrace, encodeTrace, TRACE_RESOLUTION } from '../training/loss-trace.ts';
import { agreementOf, traceDistance, updateDistance } from '../training/re-execution.ts';
import { compressUpdate, feedbackAfter, type SparseUpdate } from '../training/sparse.ts';
import { followedTolerance, toleranceOf } from '../training/tolerances.ts';
import type { Device, Judging } from './game.ts';
import { AFRESH, afresh, type Carried } from './pretrain-carried.ts';
import { follow, followedOf, stepsOf, trainerOf, warmUp } from './pretrain-device.ts';
import type { PretrainTask } from './pretrain-params.ts';
import type { PretrainWork } from './pretrain-work.ts';

/** Work that is to be repeated. */
export interface Repeated {
  readonly task: PretrainTask;
  readonly specs: readonly ParameterSpec[];
  readonly work: PretrainWork;
  readonly update: SparseUpdate;
  readonly device: Device;
  readonly judging: Judging;
}

/** What a repetition says: nothing against the work (null) or why it is refused, with the measurements. */
export interface Repetition {
  readonly refusal: 'other-losses' | 'other-update' | null;
  readonly evidence: Readonly<Record<string, unknown>>;
}

/** What the worker began with, where this validator knows it. */
export function knownStart({ specs, work, device }: Pick<Repeated, 'specs' | 'work' | 'device'>): Carried | null {
  const start = bytesToHex(work.start);
  if (start === bytesToHex(AFRESH)) return afresh(specs);
  return followedOf(device, start) ?? null;
}

/** The same steps from the same state: the same losses and the same update, but for rounding. */
export async function repeatExactly(repeated: Repeated, start: Carried): Promise<Repetition> {
  const { task, specs, work, update, device, judging } = repeated;
  const { params } = task;
  const referee = await trainerOf(device, params);
  await referee.setOptimiserState(start.moments);
  const { losses, delta } = await trainAgain(repeated, referee, await planOf(repeated));
  const limits = followedTolerance(judging.runtime, device.runtime.class);
  const { mean } = traceDistance(work.losses, losses);
  const whole = losses.length === work.losses.length;
  const evidence = { steps: losses.length, from: 'the state of the worker', mean_loss: mean, limits };
  if (!(mean <= limits.mean_loss + TRACE_RESOLUTION)) return { refusal: 'other-losses', evidence };
  // Steps that were broken off, for want of time, say nothing of the update.
  if (!whole) return { refusal: null, evidence };
  const found = compressUpdate(specs, delta, new Map(start.error), params.sparse);
  const distance = updateDistance(specs, update, found);
  const refusal = distance <= limits.update ? null : 'other-update';
  if (refusal === null) {
    // What was sent counts, not what should have been: so followers stay near for as long as they follow.
    const error = feedbackAfter(specs, delta, start.error, update, params.sparse);
    follow(device, task, bytesToHex(work.end), { moments: await referee.optimiserState(), error });
  }
  return { refusal, evidence: { ...evidence, update: distance } };
}

/** The part of the distance between two repetitions with different moments that a worker may be away besides. */
const MOMENTS_PART = 0.75;

/**
 * The same steps with moments that are not the worker's: like the referee's, or zero where the worker began not long ago. It is refused
 * when it is like neither. `gain`: what the update takes off the loss of the worker's data.
 */
export async function repeatLoosely(repeated: Repeated, gain: number): Promise<Repetition> {
  const { task, specs, work, update, device, judging } = repeated;
  const referee = await trainerOf(device, task.params);
  await warmUp(referee, device, task);
  const steps = work.losses.length;
  const plan = await planOf(repeated);
  const rates = work.losses.reduce((sum, _, step) => sum + plan.learning_rate(step), 0);
  const tolerance = toleranceOf(judging.runtime, device.runtime.class, { steps, rates, gain });
  const attempt = async (moments: "like the referee's" | 'zero') => {
    const { losses, delta } = await trainAgain(repeated, referee, plan);
    const distance = traceDistance(work.losses, losses);
    return { moments, steps: losses.length, losses, distance, agreement: agreementOf(specs, update, delta) };
  };
  // The direction of a few steps says little about all of them.
  let allowed = tolerance.mean_loss + TRACE_RESOLUTION;
  const holds = ({ steps: done, distance, agreement }: Awaited<ReturnType<typeof attempt>>): boolean =>
    distance.mean <= allowed && (agreement >= tolerance.agreement || 2 * done < steps);

  const warm = await referee.optimiserState();
  const attempts = [await attempt("like the referee's")];
  if (!holds(attempts[0])) {
    await referee.setOptimiserState(afresh(specs).moments);
    attempts.push(await attempt('zero'));
    await referee.setOptimiserState(warm);
    // How much moments matter in this very work shows in how far the two repetitions are from each other.
    allowed += MOMENTS_PART * traceDistance(attempts[0].losses, attempts[1].losses).mean;
  }
  const shown = attempts.map(({ losses: _losses, ...rest }) => rest);
  const evidence = { steps, attempts: shown, limits: { ...tolerance, mean_loss: allowed } };
  if (attempts.some(holds)) return { refusal: null, evidence };
  const nearest = attempts.some(({ distance }) => distance.mean <= allowed);
  return { refusal: nearest ? 'other-update' : 'other-losses', evidence };
}

/** As many steps as the worker claims, while there is time. */
function planOf({ task, device, work, judging }: Repeated): Promise<InnerSteps> {
  const deadline_ms = performance.now() + judging.time_ms;
  return stepsOf(task, device, work.losses.length, () => performance.now() < deadline_ms);
}

/** Losses as a worker could have told them. Steps that leave the finite numbers are like nobody's. */
async function trainAgain({ task }: Repeated, referee: Trainer, plan: InnerSteps): Promise<Trained> {
  const trained = await trainSteps(referee, task.weights, plan);
  if (trained === null) return { losses: [Number.NaN], delta: task.weights };
  return { ...trained, losses: Array.from(decodeTrace(encodeTrace(trained.losses))) };
}
