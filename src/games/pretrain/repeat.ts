// Re-execution of a worker's inner steps by a validator. Where the worker begins afresh, or the validator has repeated its last round, the
// validator has the worker's whole state and finds the same update but for rounding; elsewhere it only finds something like it.
import { bytesToHex } from '@noble/hashes/utils.js';
import type { ParameterSpec, Weights } from '../../model/config.ts';
import { type InnerSteps, type OptimiserState, type Trained, type Trainer, trainSteps } from '../../training/inner.ts';
import { asTraced, LARGEST_TRACED, TRACE_RESOLUTION } from '../../training/loss-trace.ts';
import { agreementOf, type TraceDistance, traceDistance, updateDistance } from '../../training/re-execution.ts';
import { compressUpdate, feedbackAfter, type SparseUpdate } from '../../training/sparse.ts';
import { mean } from '../../training/statistics.ts';
import {
  amongFew,
  besideLoss,
  type FollowedTolerance,
  followedTolerance,
  toleranceOf,
} from '../../training/tolerances.ts';
import type { Device, Judging } from '../game.ts';
import { AFRESH, afresh, type Carried } from './carried.ts';
import { follow, followedOf, learnMoments, momentsFor, stepsOf, trainerOf } from './device.ts';
import type { PretrainTask } from './params.ts';
import { shaken, steadySteps } from './rounding.ts';
import type { PretrainWork } from './work.ts';

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
  readonly refusal: 'other-losses' | 'other-update' | 'diverged' | null;
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
 * worker begins afresh then, and from there nothing has added up. The same where these steps magnify rounding (rounding.ts).
 */
export async function repeatExactly(repeated: Repeated, { carried, limits }: KnownStart): Promise<Repetition> {
  const { task, specs, work, update, device } = repeated;
  const { params } = task;
  const referee = await trainerOf(device, params);
  const { moments } = carried;
  const trained = await trainAgain(repeated, referee, moments, untilFar(await planOf(repeated), work, limits));
  if (trained === null) return DIVERGED;
  const { losses, delta } = trained;
  const apart = traceDistance(work.losses, losses).mean;
  const allowed = besideLoss(limits.mean_loss, mean(losses)) + TRACE_RESOLUTION;
  const evidence = { steps: losses.length, from: 'the state of the worker', mean_loss: apart, limits };
  const isFirst = moments.steps === 0;
  const compressed = (change: Weights) => compressUpdate(specs, change, new Map(carried.error), params.sparse);
  if (apart > allowed) {
    const steady = steadySteps(losses, await shakenAgain(repeated, referee, moments, losses.length), allowed);
    const far = traceDistance(work.losses, losses.slice(0, steady)).mean > (isFirst ? allowed : FAR * allowed);
    return { refusal: 'other-losses', fraud: far, evidence: { ...evidence, steady } };
  }
  // Steps that were broken off, for want of time, say nothing of the update.
  if (losses.length < work.losses.length) return { refusal: null, fraud: false, evidence };
  const found = compressed(delta);
  const distance = updateDistance(specs, update, found);
  if (distance > limits.update) {
    const shown = { ...evidence, update: distance };
    if (!isFirst && distance <= FAR * limits.update) return { refusal: 'other-update', fraud: false, evidence: shown };
    const twin = await shakenAgain(repeated, referee, moments);
    const steady = steadySteps(losses, twin, allowed);
    const fraud = steady === losses.length && updateDistance(specs, compressed(twin!.delta), found) <= limits.update;
    return { refusal: 'other-update', fraud, evidence: { ...shown, steady } };
  }
  // What was sent counts, not what should have been: so followers stay near for as long as they follow.
  const error = feedbackAfter(specs, delta, carried.error, update, params.sparse);
  const left = { moments: await referee.optimiserState(), error };
  learnMoments(device, left.moments);
  follow(device, specs, bytesToHex(work.end), { round: task.round.number, carried: left, apart: distance });
  return { refusal: null, fraud: false, evidence: { ...evidence, update: distance } };
}

/** Beyond so many times what is allowed, no rounding has added up. */
const FAR = 3;

/**
 * Steps that end once the losses told are so far from those found that whatever the steps left would say, work is called made up: who invents
 * losses costs a judge a few steps, not all of them.
 */
function untilFar(plan: InnerSteps, { losses }: PretrainWork, { mean_loss }: FollowedTolerance): InnerSteps {
  // As much as is ever allowed: bounds grow with losses, and a trace ends at the largest one.
  const allowed = besideLoss(mean_loss, LARGEST_TRACED) + TRACE_RESOLUTION;
  let apart = 0;
  return {
    ...plan,
    async progress(steps, loss) {
      apart += Math.abs(asTraced(loss) - losses[steps - 1]);
      await plan.progress(steps, loss);
    },
    more: () => apart <= FAR * allowed * plan.steps && plan.more(),
  };
}

/** The part of the distance between two repetitions with different moments that a worker may be away besides. */
const MOMENTS_PART = 0.75;

/** The part of the time for judging that may go into moments. */
const WARMING_PART = 0.3;

/** The repetition itself left the finite numbers: it says nothing of the work, and a merge of such work would be worth nothing. */
const DIVERGED: Repetition = { refusal: 'diverged', fraud: false, evidence: { steps: 0 } };

/**
 * The same steps with moments that are not the worker's: those that this judge has learnt, and where the work is not like that, zero, as of a
 * worker that began not long ago. A judge that has learnt too little takes a few steps first. Work is refused when it is like neither.
 * `gain`: what the update takes off the loss of the worker's data.
 */
export async function repeatLoosely(repeated: Repeated, gain: number): Promise<Repetition> {
  const { task, specs, work, update, device, judging } = repeated;
  const referee = await trainerOf(device, task.params);
  const zero = afresh(specs).moments;
  const plan = await planOf(repeated);
  const steps = work.losses.length;
  const rates = work.losses.slice(0, plan.steps).reduce((sum, _, step) => sum + plan.learning_rate(step), 0);
  const tolerance = toleranceOf(judging.runtime, device.runtime.class, { steps, rates, gain });
  const attempt = async (name: 'learnt' | 'zero', moments: OptimiserState) => {
    const trained = await trainAgain(repeated, referee, moments, plan);
    if (trained === null) return null;
    const { losses, delta } = trained;
    const distance = traceDistance(work.losses, losses);
    const agreement = agreementOf(specs, update, delta);
    return { moments: name, steps: losses.length, losses, delta, distance, agreement };
  };
  type Attempt = NonNullable<Awaited<ReturnType<typeof attempt>>>;
  const warming_until_ms = performance.now() + judging.time_ms * WARMING_PART;
  const own = await momentsFor(steps, referee, device, task, () => performance.now() < warming_until_ms);
  const first = await attempt('learnt', own);
  if (first === null) return DIVERGED;
  learnMoments(device, await referee.optimiserState());
  const usual = besideLoss(tolerance.mean_loss, mean(first.losses)) + TRACE_RESOLUTION;
  let allowed = usual;
  let jumps = besideLoss(tolerance.jumps, mean(first.losses)) + TRACE_RESOLUTION;
  const fits = (found: readonly number[], distance: TraceDistance, times = 1): boolean =>
    distance.mean <= times * allowed && distance.jumps <= times * amongFew(jumps, found.length);
  // The direction of a few steps says little about all of them.
  const holds = ({ losses, distance, agreement }: Attempt): boolean =>
    fits(losses, distance) && (agreement >= tolerance.agreement || 2 * losses.length < steps);
  const evidenceOf = (attempts: readonly Attempt[]) => ({
    ...{ steps, attempts: attempts.map(({ losses: _losses, delta: _delta, ...rest }) => rest) },
    limits: { ...tolerance, mean_loss: allowed, jumps },
  });
  // Whoever had no time for a single step has nothing to say against the work.
  if (first.losses.length === 0 || holds(first)) return { refusal: null, fraud: false, evidence: evidenceOf([first]) };

  const second = await attempt('zero', zero);
  if (second === null) return DIVERGED;
  // How much moments matter in this very work shows in how far the two repetitions are from each other.
  const between = traceDistance(first.losses, second.losses);
  allowed += MOMENTS_PART * between.mean;
  jumps += MOMENTS_PART * between.jumps;
  const attempts = [first, second];
  if (attempts.some(holds)) return { refusal: null, fraud: false, evidence: evidenceOf(attempts) };
  const twin = await shakenAgain(repeated, referee, zero);
  const steady = steadySteps(second.losses, twin, usual);
  const evidence = { ...evidenceOf(attempts), steady };
  if (attempts.some(({ losses, distance }) => fits(losses, distance))) {
    const same =
      twin && agreementOf(specs, compressUpdate(specs, twin.delta, new Map(), task.params.sparse), second.delta);
    return { refusal: 'other-update', fraud: steady === second.steps && same! >= STEADY_AGREEMENT, evidence };
  }
  const far = attempts.every(({ losses }) => {
    const same = losses.slice(0, steady);
    return !fits(same, traceDistance(work.losses, same), LOOSELY_FAR);
  });
  return { refusal: 'other-losses', fraud: far, evidence };
}

/**
 * Losses this many times as far away as a loose repetition allows were never computed. Its bounds come from the few models that were measured:
 * honest work of a tiny run was 1.36 times as far away. What lies between is refused, as nobody can tell, but its worker is not accused.
 */
const LOOSELY_FAR = 2;

/** Two repetitions that differ by rounding alone point the same way at least so much, where rounding is not magnified. */
const STEADY_AGREEMENT = 0.5;

/** As many steps of those that the worker claims as are asked for, while there is time. */
function planOf({ task, device, work, judging }: Repeated, part = 1): Promise<InnerSteps> {
  const deadline_ms = performance.now() + judging.time_ms * part;
  const steps = Math.ceil((work.losses.length * judging.repeat_permille) / 1000);
  return stepsOf(task, device, steps, () => performance.now() < deadline_ms);
}

/** Losses as a worker could have told them; null: the steps leave the finite numbers. */
async function trainAgain(
  { task: { weights } }: Repeated,
  referee: Trainer,
  moments: OptimiserState,
  plan: InnerSteps,
  from = weights,
): Promise<Trained | null> {
  await referee.setOptimiserState(moments);
  const trained = await trainSteps(referee, from, plan);
  return trained && { ...trained, losses: trained.losses.map(asTraced) };
}

/** The part of the time for judging that goes on top, before work is called made up. */
const SHAKEN_PART = 0.25;

/** The same steps from weights that differ by rounding alone: what they change says how little a repetition can say. */
async function shakenAgain(
  repeated: Repeated,
  referee: Trainer,
  moments: OptimiserState,
  most_steps = Number.POSITIVE_INFINITY,
): Promise<Trained | null> {
  const plan = await planOf(repeated, SHAKEN_PART);
  const steps = Math.min(plan.steps, most_steps);
  return trainAgain(repeated, referee, moments, { ...plan, steps }, shaken(repeated.task.weights));
}
