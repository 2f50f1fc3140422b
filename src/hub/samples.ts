// Texts that validators say a run's models wrote: passed on to people with the validator's name, and proven by nothing.
import type { NetworkState } from '../core/state.ts';
import type { Sample, SampleView } from '../protocol/messages.ts';
import type { Keepsake } from './snapshots.ts';

/** How many samples of a run are kept, from its first model to its newest: enough for a slider, and at 2.4 kB each at most some 120 kB. */
const KEPT = 48;

export interface Samples extends Keepsake {
  /** Takes a sample from a present validator, of a current or recent model of the run; the first sample of a model counts. */
  hear(run: string, peer: string, sample: Omit<Sample, 'type'>): boolean;
  /** The samples of a run, oldest first, evenly spread over its rounds where there were more. */
  of(run: string): readonly SampleView[];
  /** The newest sample of every run. */
  all(): SampleView[];
  /** The samples since the last call. */
  takeFresh(): SampleView[];
}

/** @param state called when it is needed, because a hub restores its samples before its state exists */
export function openSamples(state: () => NetworkState): Samples {
  const kept = new Map<string, SampleView[]>();
  const fresh = new Map<string, SampleView>();

  /** After how many merges the run had this model; null: never, or too long ago. */
  const mergedRounds = (run: string, model: string): number | null => {
    const known = state().runs.get(run);
    if (!known) return null;
    if (known.model === model) return known.round;
    const merge = known.recent.findLast((recent) => recent.model === model);
    return merge ? merge.round + 1 : null;
  };

  return {
    hear(run, peer, { model, prompt, text }) {
      const validator = state().runs.get(run)?.peers.get(peer);
      if (!validator?.present || validator.role !== 'validator') return false;
      const merged_rounds = mergedRounds(run, model);
      const before = kept.get(run) ?? [];
      if (merged_rounds === null || merged_rounds <= (before.at(-1)?.merged_rounds ?? -1)) return false;
      const view = { run, by: peer, model, merged_rounds, prompt, text };
      kept.set(run, thinned([...before, view]));
      fresh.set(run, view);
      return true;
    },
    of: (run) => kept.get(run) ?? [],
    all: () => [...kept.values()].flatMap((samples) => samples.slice(-1)),
    takeFresh() {
      const taken = [...fresh.values()];
      fresh.clear();
      return taken;
    },
    take: () => [...kept.values()],
    restore(restored) {
      for (const samples of restored as SampleView[][]) kept.set(samples[0].run, samples);
    },
  };
}

/** While there are too many, drops the one whose neighbours are nearest to each other; the first and the newest stay. */
function thinned(samples: SampleView[]): SampleView[] {
  if (samples.length <= KEPT) return samples;
  const distance = (i: number): number => samples[i + 1].merged_rounds - samples[i - 1].merged_rounds;
  let least = 1;
  for (let i = 2; i < samples.length - 1; i++) if (distance(i) < distance(least)) least = i;
  return samples.toSpliced(least, 1);
}
