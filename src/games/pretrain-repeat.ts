// Re-execution of a worker's inner steps by a validator. Where the worker begins afresh, or the validator has repeated its last round, the
// validator has the worker's whole state and finds the same update but for rounding; elsewhere it only finds something like it.
import { bytesToHex } from '@noble/hashes/utils.js';
import type { ParameterSpec } from '../model/config.ts';
import { type InnerSteps, type Trained, type Trainer, trainSteps } from '../training/inner.ts';
import { decodeTrace, encodeTrace, TRACE_RESOLUTION } from '../training/loss-trace.ts';
import { agreementOf, traceDistance, updateDistance } from '../training/re-execution.ts';
import { compressUpdate, feedbackAfter, type SparseUpdate } from '../training/sparse.ts';
import { type FollowedTolerance, followedTolerance, toleranceOf } from '../training/tolerances.ts';
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
  /** Whether no honest worker could be so far away. */
  readonly fraud: boolean;
  readonly evidence: Readonly<Record<string, unknown>>;
}

/** A state to repeat from, and how far the update may be from the repeated one. */
export interface KnownStart {
  readonly carried: Carried;
  readonly limits: FollowedTolerance;
}

/** What the worker began with, where this validator knows it, and still well enough to say something. */
export function knownStart({ specs, work, device, judging }: Omit<Repeated, 'task' | 'update'>): KnownStart | null {
  const start = bytesToHex(work.start);
  const known = start === bytesToHex(AFRESH) ? { carried: afresh(specs), apart: 0 } : followedOf(device, start);
  const limits = known && followedTolerance(judging.runtime, device.runtime.class, known.apart);
  return known && limits ? { carried: known.carried, limits } : null;
}

/**
 * The same steps from the same state: the same losses and the same update, but for rounding. Over a long chain rounding adds up, on other
 * kinds of processors more than on the same: work that is a little too far away is refused without being called made up. Its
 * worker begins afresh then, and from there nothing has added up.
 */
export async function repeatExactly(repeated: Repeated, { carried, limits }: KnownStart): Promise<Repetition> {
  const { task, specs, work, update, device } = repeated;
  const { params } = task;
  const referee = await trainerOf(device, params);
  await referee.setOptimiserState(carried.moments);
  const { losses, delta } = await trainAgain(repeated, referee, await planOf(repeated));
  const { mean } = traceDistance(work.losses, losses);
  const whole = losses.length === work.losses.length;
  const evidence = { steps: losses.length, from: 'the state of the worker', mean_loss: mean, limits };
  const isFirst = carried.moments.steps === 0;
  if (!(mean <= limits.mean_loss + TRACE_RESOLUTION)) {
    return { refusal: 'other-losses', fraud: isFirst || !(mean <= FAR * limits.mean_loss), evidence };
  }
  // Steps that were broken off, for want of time, say nothing of the update.
  if (!whole) return { refusal: null, fraud: false, evidence };
  const found = compressUpdate(specs, delta, new Map(carried.error), params.sparse);
  const distance = updateDistance(specs, update, found);
  const refusal = distance <= limits.update ? null : 'other-update';
  if (refusal === null) {
    // What was sent counts, not what should have been: so followers stay near for as long as they follow.
    const error = feedbackAfter(specs, delta, carried.error, update, params.sparse);
    const left = { moments: await referee.optimiserState(), error };
    follow(device, task, bytesToHex(work.end), { carried: left, apart: distance });
  }
  const fraud = refusal !== null && (isFirst || distance > FAR * limits.update);
  return { refusal, fraud, evidence: { ...evidence, update: distance } };
}

/** Beyond so many times what is allowed, no rounding has added up. */
const FAR = 3;

/** The part of the distance between two repetitions with different moments that a worker may be away besides. */
const MOMENTS_PART = 0.75;

/**
 * The same steps with moments that are not the worker's: like the referee's, or zero where the worker began not long ago. It is refused
 * when it is like neither. `gain`: what the update takes off the loss of the worker's data.
 */
export async function repeatLoosely(repeated: Repeated, gain: number): Promise<Repetition> {
  const { task, specs, work, update, device, judging } = repeated;
  const referee = await trainerOf(device, task.params);
  const own = await warmUp(referee, device, task);
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

  const attempts = [await attempt("like the referee's")];
  if (!holds(attempts[0])) {
    await referee.setOptimiserState(afresh(specs).moments);
    attempts.push(await attempt('zero'));
    await referee.setOptimiserState(own);
    // How much moments matter in this very work shows in how far the two repetitions are from each other.
    allowed += MOMENTS_PART * traceDistance(attempts[0].losses, attempts[1].losses).mean;
  }
  const shown = attempts.map(({ losses: _losses, ...rest }) => rest);
  const evidence = { steps, attempts: shown, limits: { ...tolerance, mean_loss: allowed } };
  if (attempts.some(holds)) return { refusal: null, fraud: false, evidence };
  const nearest = attempts.some(({ distance }) => distance.mean <= allowed);
  return { refusal: nearest ? 'other-update' : 'other-losses', fraud: true, evidence };
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
