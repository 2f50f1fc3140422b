// Halting on rising loss: the hub halts a run whose loss only rises, and its owner decides how it goes on. Each validator's losses are compared
// with its own earlier ones, and all who measure must see the rise, so no single validator can halt a run by a high loss or an earlier low one.
import type { RunHalted } from '../events/run-halted.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { LossWatch, RunState } from '../state.ts';

/** So many measured models in a row, each a quarter worse than the best before: a run that learns does not fluctuate that much. */
const WORSE_MODELS = 4;
const WORSE = { times: 5, of: 4 } as const;

/** A validator has measured the current model; the core accepts one measurement of each validator. */
export function noteLoss({ losses, round }: RunState, validator: string, loss_micro: number): void {
  const before = losses.get(validator);
  if (before === undefined || loss_micro < before.lowest_micro) {
    losses.set(validator, { lowest_micro: loss_micro, last_micro: loss_micro, worse_models: 0, round });
    return;
  }
  const { lowest_micro } = before;
  const worse = lowest_micro > 0 && loss_micro * WORSE.of > lowest_micro * WORSE.times;
  const worse_models = worse ? before.worse_models + 1 : 0;
  losses.set(validator, { lowest_micro, last_micro: loss_micro, worse_models, round });
}

/** The losses of the validators that have measured one of the last models. */
const ofLate = ({ losses, round }: RunState): LossWatch[] =>
  [...losses.values()].filter((watch) => watch.round >= round - WORSE_MODELS);

/** Whether the hub may halt the run before it opens another round. */
export function mayHalt(run: RunState): boolean {
  const measured = ofLate(run);
  return (
    run.phase === 'gathering' &&
    measured.length > 0 &&
    measured.every(({ worse_models }) => worse_models >= WORSE_MODELS)
  );
}

export function refusalOfHalt(run: RunState, { round, attempt }: RunHalted): Refusal | null {
  if (!mayHalt(run)) return refuse('wrong-phase', 'a run is halted between two rounds when its loss only rises');
  if (round === run.round && attempt === run.attempt) return null;
  return refuse('wrong-round', `expected round ${run.round} attempt ${run.attempt}, got ${round} attempt ${attempt}`);
}

/** Pauses the run until its owner resumes it; call it only after `refusalOfHalt` returned null. */
export function applyHalt(run: RunState, { reason }: RunHalted): void {
  run.phase = 'paused';
  run.attempt++;
  run.halted = reason;
}

/** The last and the best loss, as measured by the validator that measured last; null where nobody has measured. */
export function lossesOf(run: RunState): Pick<LossWatch, 'lowest_micro' | 'last_micro'> | null {
  return [...run.losses.values()].sort((a, b) => b.round - a.round)[0] ?? null;
}
