// The tab's own contribution: it goes on while its owner looks at other views, so it lives here and not in a view.
import type { Contribution, ContributionOptions } from '../tab/api.ts';
import type { ContributionState } from '../tab/state.ts';
import { createStore } from './store.ts';

export interface AtWork {
  readonly contribution: Contribution;
  readonly run: string;
  readonly state: ContributionState;
}

/** null: this tab has not been asked to work since it was opened. */
export const atWork = createStore<AtWork | null>(null);

/** Phases after which nothing computes any more. */
const OVER: ReadonlySet<ContributionState['phase']> = new Set(['stopped', 'finished', 'failed']);

export const isOver = (state: ContributionState): boolean => OVER.has(state.phase);

/** Starts to take part; what computes is fetched only now. Rejects when the code cannot be had. */
export async function begin(run: string, options: Omit<ContributionOptions, 'url' | 'run'>): Promise<void> {
  const { startContributing } = await import('../tab/api.ts');
  const contribution = startContributing({ ...options, url: location.origin, run });
  contribution.subscribe((state) => atWork.set({ contribution, run, state }));
}
