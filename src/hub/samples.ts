// What validators say that a run's models write: passed on to people with the name of who said it, and believed by nobody.
import type { NetworkState } from '../core/state.ts';
import type { Sample, SampleView } from '../protocol/messages.ts';

export interface Samples {
  /** Takes a sample from a validator that is here, of a model that the run has or had lately; the first one of a model counts. */
  hear(run: string, peer: string, sample: Omit<Sample, 'type'>): boolean;
  /** The newest of every run. */
  all(): SampleView[];
  /** Those that came since the last call. */
  takeFresh(): SampleView[];
}

export function openSamples(state: NetworkState): Samples {
  const newest = new Map<string, SampleView>();
  const fresh = new Map<string, SampleView>();

  /** After how many merges the run had a model; null: never, or too long ago. */
  const mergedRounds = (run: string, model: string): number | null => {
    const known = state.runs.get(run);
    if (!known) return null;
    if (known.model === model) return known.round;
    const merge = known.recent.findLast((recent) => recent.model === model);
    return merge ? merge.round + 1 : null;
  };

  return {
    hear(run, peer, { model, prompt, text }) {
      const validator = state.runs.get(run)?.peers.get(peer);
      if (!validator?.present || validator.role !== 'validator') return false;
      const merged_rounds = mergedRounds(run, model);
      if (merged_rounds === null || merged_rounds <= (newest.get(run)?.merged_rounds ?? -1)) return false;
      const view = { run, by: peer, model, merged_rounds, prompt, text };
      newest.set(run, view);
      fresh.set(run, view);
      return true;
    },
    all: () => [...newest.values()],
    takeFresh() {
      const taken = [...fresh.values()];
      fresh.clear();
      return taken;
    },
  };
}
