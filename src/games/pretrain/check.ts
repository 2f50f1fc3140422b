// How a validator judges a pre-training submission, cheapest first: its form; where it was drawn to look, sameness with earlier work and what the
// work does to the loss; where it was drawn to repeat, the worker's inner steps again (Gauntlet, arXiv 2505.21684; BOINC).

import { bytesToHex } from '@noble/hashes/utils.js';
import { CodedError } from '../../errors.ts';
import { parameterSpecs, type Weights } from '../../model/config.ts';
import { LARGEST_LOSS } from '../../model/llama-loss.ts';
import { asTraced, LARGEST_TRACED, TRACE_RESOLUTION } from '../../training/loss-trace.ts';
import { overlapOf } from '../../training/re-execution.ts';
import type { SparseUpdate } from '../../training/sparse.ts';
import { mean } from '../../training/statistics.ts';
import { besideLoss, toleranceOf } from '../../training/tolerances.ts';
import type { Claim, Device, Judging, Verdict } from '../game.ts';
import { orRefused, Refused } from '../refused.ts';
import { AFRESH, statesLeft } from './carried.ts';
import { loadedOf, updateOf } from './device.ts';
import { lookAtJumps } from './jumps.ts';
import { type LossChange, lookedAt, lossChange, ownLosses, SMALL_STEP, smallStep } from './losses.ts';
import type { PretrainTask } from './params.ts';
import { type KnownStart, knownStart, type Repeated, repeatExactly, repeatLoosely } from './repeat.ts';
import { decodeWork, type PretrainWork, toldMicro } from './work.ts';

/**
 * The share of kept values that an honest update has in common with another's is near a half in the first rounds (seven tenths in
 * tiny models), when all point the same way, and falls to a tenth (`npm run bench tolerance`). Beyond these, the later one is a copy.
 */
const OVERLAP = { copied: 0.85, fraud: 0.92 } as const;

/** What the model itself says of the data is no number: nothing can be said of work on it. */
const NOT_FINITE = 'model-not-finite';

/** What checks measure. */
interface Measuring {
  readonly evidence: Record<string, unknown>;
  score_micro: number;
  numbers: Verdict['numbers'];
}

/** Work whose form is right, with everything that judges it; the checks write what they measure into `found`. */
interface Case extends Repeated {
  readonly found: Measuring;
}

export async function checkWork(task: PretrainTask, claim: Claim, device: Device, judging: Judging): Promise<Verdict> {
  const evidence: Record<string, unknown> = {
    game: 'pretrain',
    steps: claim.numbers.steps,
    runtime: judging.runtime,
    by: device.runtime.class,
  };
  const found: Measuring = { evidence, score_micro: 0, numbers: {} };
  try {
    const specs = parameterSpecs(task.params.model);
    const work = openClaim(task, claim);
    const opened = { task, specs, work, device, judging, found };
    await checkStart(opened);
    const start = judging.repeat_permille > 0 ? knownStart(opened) : null;
    // A loose repetition goes by what the work gains; an exact one says more than a look does.
    evidence.looked = judging.looks || (judging.repeat_permille > 0 && start === null);
    if (evidence.looked || judging.repeat_permille > 0) {
      await checkContent({ ...opened, update: openUpdate(task, claim, device) }, start);
    }
    return { accepted: true, fraud: false, code: 'ok', weight: claim.amount, ...found };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { code, fraud } = error;
    return { accepted: false, fraud, code, weight: 0, ...found };
  }
}

/** What the work is and does, as far as this judge is to know it. */
async function checkContent(judged: Case, start: KnownStart | null): Promise<void> {
  const {
    judging,
    found: { evidence },
  } = judged;
  if (!evidence.looked) return repeat(judged, start, 0);
  await compareWithEarlier(judged);
  const { assigned: gain, harmful, strange_permille } = await measureLosses(judged);
  const repeat_permille = Math.max(judging.repeat_permille, strange_permille);
  const from = start ?? (repeat_permille > 0 ? knownStart(judged) : null);
  // Work that is the very work that was asked for is not refused for what came of it.
  if (harmful && (from === null || repeat_permille < 1000)) throw new Refused('harmful', false);
  if (repeat_permille > 0) await repeat({ ...judged, judging: { ...judging, repeat_permille } }, from, gain);
}

/** Form: what honest software never gets wrong. The update, whose form the hub has seen to, is read by whoever needs what is in it. */
function openClaim({ params }: PretrainTask, claim: Claim): PretrainWork {
  const { amount, numbers } = claim;
  const { steps, loss_micro } = numbers;
  if (steps === undefined || loss_micro === undefined) throw new Refused('numbers-missing', true);
  if (steps > params.inner_steps) throw new Refused('too-many-steps', true);
  if (amount !== steps * params.batch * params.context) throw new Refused('tokens-do-not-follow-from-steps', true);
  const work = orRefused(() => decodeWork(claim.work));
  if (work.losses.length !== steps) throw new Refused('trace-does-not-follow-from-steps', true);
  if (!lossFollows(work.losses, loss_micro / 1e6)) throw new Refused('loss-does-not-follow', true);
  return work;
}

const openUpdate = ({ params }: PretrainTask, { work }: Claim, device: Device): SparseUpdate =>
  orRefused(() => updateOf(device, params, work));

/** Whether a mean loss can be that of a trace: where the trace is cut off, it is a larger one. */
function lossFollows(losses: PretrainWork['losses'], claimed: number): boolean {
  const traced = mean([...losses]);
  if (Math.abs(traced - claimed) <= TRACE_RESOLUTION) return true;
  return losses.includes(LARGEST_TRACED) && claimed > traced && claimed <= LARGEST_LOSS;
}

/** It must begin afresh, or with what work of the last round leaves: anything else could not be checked by anybody. */
async function checkStart({ task, work, device }: Omit<Case, 'update'>): Promise<void> {
  const start = bytesToHex(work.start);
  if (start === bytesToHex(AFRESH) || (await statesLeft(device, task.round)).has(start)) return;
  throw new Refused('unknown-start', false);
}

/** Sameness: work that was committed earlier wins. */
async function compareWithEarlier({ task, specs, update, device, judging, found }: Case): Promise<void> {
  const { evidence } = found;
  let most = 0;
  for (const bytes of await judging.earlier()) {
    try {
      most = Math.max(most, overlapOf(specs, update, updateOf(device, task.params, bytes)));
    } catch (error) {
      // Earlier work that cannot be read was refused for that; it proves nothing against this.
      if (!(error instanceof CodedError)) throw error;
    }
  }
  evidence.overlap = most;
  evidence.overlap_limit = OVERLAP.copied;
  if (most >= OVERLAP.copied) throw new Refused('copied', most >= OVERLAP.fraud);
}

/** What measuring says; `strange_permille`: how much of the work from its beginning is to be repeated for what was seen. */
interface Measurement extends LossChange {
  readonly strange_permille: number;
}

/** What the update does to the loss, at the first batch or at a drawn one; what the worker tells of these must be the losses of its data. */
async function measureLosses(judged: Case): Promise<Measurement> {
  const { task, specs, work, update, device, judging, found: measured } = judged;
  const { evidence } = measured;
  let moved: Weights;
  try {
    moved = smallStep(specs, task, update);
  } catch (error) {
    // Honest steps of a run that diverges may leave the finite numbers too: nothing to merge, and nothing to accuse anybody of.
    if (error instanceof CodedError) throw new Refused(error.code, error.code !== 'not-finite');
    throw error;
  }
  const { first_loss } = toleranceOf(judging.runtime, device.runtime.class, { steps: 1, rates: 0, gain: 0 });
  const looked = lookedAt(judging.place, work.losses.length);
  const own = await ownLosses(task, device, looked.step);
  const found = mean(own.losses);
  if (!Number.isFinite(found)) throw new Refused(NOT_FINITE, false);
  if (looked.step === 0) {
    const limit = besideLoss(first_loss, found);
    evidence.first_loss = { claimed: work.losses[0], found, limit };
    if (Math.abs(work.losses[0] - asTraced(found)) > limit + TRACE_RESOLUTION) {
      throw new Refused('not-on-its-data', true);
    }
  }
  const strange_steps = looked.next ? await strangeUntil(judged, looked.step, found) : 0;
  const change = await lossChange(task, device, own, moved);
  const { before, after, assigned, random, harm } = change;
  evidence.gain = { assigned, random, before, step: SMALL_STEP };
  evidence.harm = harm;
  const numbers = { loss_before_micro: toldMicro(before), loss_after_micro: toldMicro(after) };
  measured.numbers = numbers;
  measured.score_micro = numbers.loss_before_micro - numbers.loss_after_micro;
  return { ...change, strange_permille: Math.ceil((1000 * strange_steps) / work.losses.length) };
}

/** How many steps from the first one on are to be repeated for what is strange at a place in the trace; 0: nothing is. */
async function strangeUntil(
  { task, device, work, found: { evidence } }: Case,
  step: number,
  loss: number,
): Promise<number> {
  const lossOf = async (at: number): Promise<number> => {
    const found = at === step ? loss : mean((await ownLosses(task, device, at)).losses);
    if (!Number.isFinite(found)) throw new Refused(NOT_FINITE, false);
    return found;
  };
  const { strange, ...looked } = await lookAtJumps(work.losses, step, lossOf, loadedOf(device).jumps);
  evidence.looked_at = looked;
  return strange ? looked.from + looked.jumps.length + 1 : 0;
}

/** Re-execution, exact where this validator knows what the worker began with. */
async function repeat(judged: Case, start: KnownStart | null, gain: number): Promise<void> {
  const repetition = start ? await repeatExactly(judged, start) : await repeatLoosely(judged, gain);
  const { refusal, fraud, evidence } = repetition;
  judged.found.evidence.repeated = evidence;
  if (refusal) throw new Refused(refusal, fraud);
}
