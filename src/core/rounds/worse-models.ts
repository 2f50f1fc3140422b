// Halting on models that get worse: the hub halts such a run, and its owner decides how it goes on. Each validator's measurements are compared
// with its own earlier ones, and all who measure must see it, so no single validator can halt a run by a bad value or an earlier good one.
import type { Measures } from '../events/fields.ts';
import type { RunHalted } from '../events/run-halted.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { ModelWatch, RunState } from '../state.ts';

/** So many measured models in a row, each a quarter worse than the best before: a run that learns does not fluctuate that much. */
const WORSE_MODELS = 4;
const WORSE = { times: 5, of: 4 } as const;

/** A validator has measured the current model; the core accepts one measurement of each validator. The first of the run's metrics counts. */
export function noteMeasured({ watches, round, spec }: RunState, validator: string, measured: Measures): void {
  const [{ name, better }] = spec.metrics;
  const value = measured[name];
  const before = watches.get(validator);
  if (before === undefined || (better === 'lower' ? value < before.best : value > before.best)) {
    watches.set(validator, { best: value, last: value, worse_models: 0, round });
    return;
  }
  const { best } = before;
  const [least, most] = better === 'lower' ? [best, value] : [value, best];
  const worse = best > 0 && most * WORSE.of > least * WORSE.times;
  watches.set(validator, { best, last: value, worse_models: worse ? before.worse_models + 1 : 0, round });
}

/** The measurements of the validators that have measured one of the last models. */
const ofLate = ({ watches, round }: RunState): ModelWatch[] =>
  [...watches.values()].filter((watch) => watch.round >= round - WORSE_MODELS);

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
  if (!mayHalt(run)) return refuse('wrong-phase', 'a run is halted between two rounds when its models only get worse');
  if (round === run.round && attempt === run.attempt) return null;
  return refuse('wrong-round', `expected round ${run.round} attempt ${run.attempt}, got ${round} attempt ${attempt}`);
}

/** Pauses the run until its owner resumes it; call it only after `refusalOfHalt` returned null. */
export function applyHalt(run: RunState, { reason }: RunHalted): void {
  run.phase = 'paused';
  run.attempt++;
  run.halted = reason;
}

/** The last and the best value, as measured by the validator that measured last; null where nobody has measured. */
export function watchOf(run: RunState): Pick<ModelWatch, 'best' | 'last'> | null {
  return [...run.watches.values()].sort((a, b) => b.round - a.round)[0] ?? null;
}
