// A run whose loss only rises: the hub halts it, and its owner says how it goes on. Validators measure; of each model the lowest word
// counts, so that no single one of them can halt a run.
import type { RunHalted } from './events.ts';
import { type Refusal, refuse } from './refusal.ts';
import type { RunState } from './state.ts';

/** So many measured models in a row, each worse than the best before by more than a quarter: no wave of a run that learns. */
const WORSE_MODELS = 4;
const WORSE = { times: 5, of: 4 } as const;

/** What validators have measured, in millionths of a nat. */
export interface LossWatch {
  /** The least that anybody has measured of the present model; null: nobody has. */
  model_micro: number | null;
  /** Of all models since the run began, or was resumed. */
  lowest_micro: number | null;
  last_micro: number | null;
  worse_models: number;
}

export const nothingMeasured = (): LossWatch => ({
  ...{ model_micro: null, lowest_micro: null, last_micro: null, worse_models: 0 },
});

export function noteLoss({ losses }: RunState, loss_micro: number): void {
  losses.model_micro = Math.min(losses.model_micro ?? loss_micro, loss_micro);
}

/** The present model is about to be replaced: what was measured of it is all that will be. A model that nobody measured says nothing. */
export function noteReplaced({ losses }: RunState): void {
  const { model_micro: measured, lowest_micro: lowest } = losses;
  losses.model_micro = null;
  if (measured === null) return;
  losses.last_micro = measured;
  if (lowest === null || measured < lowest) {
    losses.lowest_micro = measured;
    losses.worse_models = 0;
    return;
  }
  const worse = lowest > 0 && measured * WORSE.of > lowest * WORSE.times;
  losses.worse_models = worse ? losses.worse_models + 1 : 0;
}

/** Whether the hub halts the run before it opens another round. */
export function mayHalt(run: RunState): boolean {
  return run.phase === 'gathering' && run.losses.worse_models >= WORSE_MODELS;
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
