// Judging of served answers in the log: the limits that a run's owner has published, and what judges have said of each device.
import type { AnswersJudged } from '../events/answers-judged.ts';
import type { LimitsPublished } from '../events/limits-published.ts';
import { CORE_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { NetworkState, RunState } from '../state.ts';
import { isKnownDevice } from './settling.ts';

/** Whether limits may be published now: also of a finished run, whose models are served on. */
export function refusalOfLimits(run: RunState, author: string, { number }: LimitsPublished): Refusal | null {
  if (author !== run.owner) return refuse('not-the-owner', `only the owner ${run.owner} may do this, got ${author}`);
  const { published } = run.serving;
  if (number !== published) return refuse('wrong-limits', `expected limits ${published} of this run, got ${number}`);
  if (published < CORE_LIMITS.limits_published) return null;
  return refuse('wrong-limits', `limits of a run are published at most ${CORE_LIMITS.limits_published} times`);
}

export function applyLimits({ serving }: RunState, { quantisation, margins }: LimitsPublished): void {
  serving.margins.set(quantisation, margins);
  serving.published++;
}

/** Whether counts may follow. Whether they are right only the hub knows: whoever was judged may compare. */
export function refusalOfJudged(state: NetworkState, { number, devices }: AnswersJudged): Refusal | null {
  const { batches } = state.judged;
  if (number !== batches) return refuse('wrong-batch', `expected verdicts ${batches}, got ${number}`);
  const stranger = devices.find(([device]) => !isKnownDevice(state, device));
  return stranger ? refuse('unknown-device', `no device ${stranger[0]} in this log`) : null;
}

export function applyJudged({ judged }: NetworkState, { devices }: AnswersJudged): void {
  for (const [device, accepted, refused] of devices) {
    const before = judged.devices.get(device) ?? { accepted: 0, refused: 0 };
    judged.devices.set(device, { accepted: before.accepted + accepted, refused: before.refused + refused });
    judged.parts += accepted + refused;
  }
  judged.batches++;
}

/** What is wrong with the counts, in words. Takes time in proportion to the devices. */
export function* judgedProblems({ judged: { devices, parts, batches } }: NetworkState): Generator<string, void> {
  let sum = 0;
  for (const [device, { accepted, refused }] of devices) {
    sum += accepted + refused;
    if (![accepted, refused].every(isCount) || accepted + refused === 0)
      yield `${device.slice(0, 8)} has ${accepted} accepted and ${refused} refused parts of answers`;
  }
  if (sum !== parts || parts < batches) yield `${batches} times ${parts} parts were judged, devices have ${sum}`;
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
