// The tab's own contribution. It goes on while its owner looks at other views, so it lives here and not in a view.
import type { Contribution, ContributionOptions } from '../tab/api.ts';
import { type ContributionState, isOver as isOverPhase } from '../tab/state.ts';
import { createStore } from './store.ts';

export interface AtWork {
  readonly contribution: Contribution;
  readonly run: string;
  readonly state: ContributionState;
}

/** null: this tab was not asked to work since it was opened. */
export const atWork = createStore<AtWork | null>(null);

/** For the tab's title, which is all that is visible of a hidden tab: 'Working', 'Paused', or nothing. */
export const workWord = createStore('');
atWork.subscribe(() => {
  const phase = atWork.get()?.state.phase ?? 'stopped';
  const word =
    isOverPhase(phase) || phase === 'handing-in'
      ? ''
      : phase === 'paused' || phase === 'elsewhere'
        ? 'Paused'
        : 'Working';
  if (word !== workWord.get()) workWord.set(word);
});

export const isOver = (state: ContributionState): boolean => isOverPhase(state.phase);

/** Starts taking part; the code that computes is downloaded only now. Rejects when it cannot be downloaded. */
export async function begin(
  run: string,
  options: Pick<ContributionOptions, 'name' | 'although' | 'game_file'>,
): Promise<void> {
  const { startContributing } = await import('../tab/api.ts');
  const contribution = startContributing({ ...options, url: location.origin, run });
  contribution.subscribe((state) => atWork.set({ contribution, run, state }));
}
