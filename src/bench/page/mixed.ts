// Two Node workers and two tabs against four Node workers: the same run, compared by the loss at the end.
import type { Browser } from 'playwright-core';
import { contribute } from './killed.ts';
import type { PageNetwork } from './network.ts';

export interface MixedOptions {
  /** Inner steps of each worker in the whole run, and in one round. */
  readonly steps: number;
  readonly inner_steps: number;
}

/** One of the two runs, at its end. */
export interface Trained {
  readonly node_workers: number;
  readonly tabs: number;
  readonly rounds: number;
  readonly validation_loss: number;
  readonly verified_tokens: number;
  readonly refused: number;
  readonly seconds: number;
}

/** Long enough for all steps of a round, as in `bench parity`, also on a busy machine. */
const ROUND_SECONDS = 900;
/** The same windows for both runs; more than the usual 96, because differences of a hundredth are asked for. */
const EVALUATION_SEQUENCES = 480;

/** Trains once. With the default of `bench parity` for steps, the settings are those of its `sparse-30`. */
export async function train(
  network: PageNetwork,
  browser: Browser,
  { steps, inner_steps }: MixedOptions,
  [node_workers, tabs]: readonly [number, number],
): Promise<Trained> {
  const rounds = Math.ceil(steps / inner_steps);
  const workers = node_workers + tabs;
  const settings = { rounds, round_seconds: ROUND_SECONDS, steps: inner_steps, min_workers: workers };
  const run = await network.createRun(`${node_workers} in Node, ${tabs} in tabs`, settings, {
    evaluation_sequences: EVALUATION_SEQUENCES,
  });
  const started_ms = performance.now();
  network.join(run, 'validator', '--role', 'validator');
  for (let i = 0; i < node_workers; i++) network.join(run, `node-${i}`);
  // One context each, because two tabs of one browser are one device.
  const contexts = await Promise.all(Array.from({ length: tabs }, () => browser.newContext()));
  try {
    for (const [i, context] of contexts.entries()) {
      await contribute(await context.newPage(), `${network.url}/r/${run}`, `tab-${i}`);
    }
    const { metrics, merged_amount, peers } = await network.until(
      run,
      ({ phase, evaluated_rounds }) => phase === 'finished' && evaluated_rounds === rounds,
    );
    return {
      node_workers,
      tabs,
      rounds,
      validation_loss: metrics[0].last!,
      verified_tokens: merged_amount,
      refused: peers.reduce((sum, { refused_submissions }) => sum + refused_submissions, 0),
      seconds: (performance.now() - started_ms) / 1000,
    };
  } finally {
    await Promise.all(contexts.map((context) => context.close()));
  }
}
