// The progress of an audit, and how long it will still take. Events and model versions are checked in parallel; the slower of the two decides.

/** Earlier figures are too uncertain. */
const FIRST_ESTIMATE = { done: 0.01, elapsed_ms: 1500 } as const;

/** The part that is done, 0 to 1. `models`: the number of model versions, 0 where none are computed or known. */
export function doneOf(
  progress: { readonly events: number; readonly size: number; readonly models: number },
  models: number,
): number {
  const ofEvents = progress.size > 0 ? progress.events / progress.size : 0;
  const ofModels = models > 0 ? progress.models / models : 1;
  return Math.min(1, ofEvents, ofModels);
}

/** null while it cannot be estimated. */
export function timeLeft_ms(done: number, elapsed_ms: number): number | null {
  if (done < FIRST_ESTIMATE.done || elapsed_ms < FIRST_ESTIMATE.elapsed_ms || done >= 1) return null;
  return (elapsed_ms * (1 - done)) / done;
}
