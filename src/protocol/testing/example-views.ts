// Example views of a run for tests, as a hub would send them; a test states only the fields that it is about.
import type { RunOverview, RunStatus, RunView } from '../messages.ts';

const HASH = 'a'.repeat(64);

const shared = {
  run: HASH,
  name: 'a run',
  game: 'pretrain',
  params: HASH,
  phase: 'working',
  round: 0,
  rounds: 3,
  attempt: 0,
  seed: HASH,
  remaining_ms: 60_000,
  judging_ms: 1000,
  model: HASH,
} as const;

/** A peer's view. */
export const exampleView = (more: Partial<RunView> = {}): RunView => ({
  ...shared,
  checkpoint: { merged_rounds: 0, model: HASH, rest: null },
  recent: [],
  submissions: [],
  draw: null,
  reexecute_permille: 0,
  probation: 0,
  rating_permille: 0,
  ...more,
});

/** The overview for people, without peers. */
export const exampleOverview = (more: Partial<RunOverview> = {}): RunOverview => ({
  ...shared,
  owner: HASH,
  round_ms: 1000,
  min_workers: 1,
  workers_needed: 1,
  submitted: 0,
  merged_amount: 0,
  bytes_submitted: 0,
  dense_bytes: 0,
  amount_per_second: 0,
  unit: 'tokens',
  numbers: { work: [], verdict: [] },
  metrics: [{ name: 'loss_micro', words: 'validation loss', unit: 'nats', better: 'lower', first: null, last: null }],
  evaluated_rounds: null,
  problem: null,
  ...more,
});

/** The overview for people. */
export const exampleStatus = (more: Partial<RunStatus> = {}): RunStatus => ({
  ...exampleOverview(),
  peers: [],
  ...more,
});
