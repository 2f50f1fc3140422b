// A run whose loss only rises: the hub halts it, and its owner says how it goes on. Each validator's words are compared with its own
// earlier ones, and all who measure must see it rise: no single one can halt a run, neither by a high word nor by a low one before.
import type { RunHalted } from '../events/run-halted.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { LossWatch, RunState } from '../state.ts';

/** So many measured models in a row, each worse than the best before by more than a quarter: no wave of a run that learns. */
const WORSE_MODELS = 4;
const WORSE = { times: 5, of: 4 } as const;

/** A validator has measured the present model; the core takes one word of each. */
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

/** The words of those who have measured one of the last models. */
const ofLate = ({ losses, round }: RunState): LossWatch[] =>
  [...losses.values()].filter((watch) => watch.round >= round - WORSE_MODELS);

/** Whether the hub halts the run before it opens another round. */
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

/** Pauses the run until its owner resumes it; to be called only when `refusalOfHalt` said null. */
export function applyHalt(run: RunState, { reason }: RunHalted): void {
  run.phase = 'paused';
  run.attempt++;
  run.halted = reason;
}

/** The last measured loss, and the best, in the words of the validator who measured it last; null: nobody has. */
export function lossesOf(run: RunState): Pick<LossWatch, 'lowest_micro' | 'last_micro'> | null {
  return [...run.losses.values()].sort((a, b) => b.round - a.round)[0] ?? null;
}
