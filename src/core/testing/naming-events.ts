// For tests of what keeps and deletes blobs: events that name some, and else say as little as they may.
import type { EventBody } from '../events.ts';
import { mergedList } from '../rounds/merged-list.ts';
import { EXAMPLE_WORDS, exampleRules } from './example-events.ts';

/** Whatever a test does not look for. */
export const ANY_HASH = 'a'.repeat(64);

export const createdWith = (params: string, model: string): EventBody => ({
  ...{ type: 'run.created', version: 3, ...EXAMPLE_WORDS, name: 'x', game: 'g', params, model },
  ...{ rounds: 9, created_ms: 0, round_ms: 1000, judging_ms: 1000, min_workers: 1, checkpoint_every: 1 },
  rules: exampleRules({
    ...{ shares_per_round: 1, halving_rounds: 0 },
    ...{ owner_permille: 0, workers_permille: 500, validators_permille: 500 },
  }),
});

export const workWith = (work: string): EventBody => ({
  ...{ type: 'work.submitted', version: 2, run: ANY_HASH, round: 0, attempt: 0, base: ANY_HASH, work },
  ...{ pledge: ANY_HASH, size_bytes: 1, amount: 1, numbers: { steps: 1, loss_micro: 0 } },
});

export const mergedWith = (bundle: string, model: string, checkpoint: boolean): EventBody => ({
  ...{ type: 'round.merged', version: 2, run: ANY_HASH, round: 0, attempt: 0, bundle, model, checkpoint },
  ...mergedList([]),
});
