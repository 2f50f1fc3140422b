// Who holds what of a run: replays the log, checks every signature, and counts the shares.

import { openAuditPool, threadsFor } from '#audit-threads';
import { allBalances, type ShareBalance } from '../core/shares/balances.ts';
import { emissionOf } from '../core/shares/shares.ts';
import { accountOf, type NetworkState, type Phase, type RunState } from '../core/state.ts';
import { runMeant } from '../protocol/run-handle.ts';
import { LookupError } from './errors.ts';
import { type StagesOfRun, stagesHeldIn } from './held-stages.ts';
import type { PublicLog } from './public-log.ts';
import { readerWarning } from './reader-warning.ts';
import { type Replay, type ReplayOptions, replayLog } from './replay.ts';

/** One account: a key that shares belong to. */
export interface Holding extends Omit<ShareBalance, 'held'> {
  readonly account: string;
  /** The sum of free, withheld, locked and settled shares. */
  readonly shares: number;
  /** The names and roles of the account's devices. */
  readonly devices: readonly { readonly id: string; readonly name: string; readonly role: string }[];
  /** Whether the account is the run's owner. */
  readonly owner: boolean;
  /** Whether it held shares of the model that the run started from. */
  readonly ancestor: boolean;
}

/** A device that was caught; what it had earned recently went back to the run. */
export interface Forfeit {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly shares: number;
  /** How many planted submissions it misjudged. */
  readonly plants_wrong: number;
}

export interface Holdings {
  readonly run: string;
  readonly name: string;
  readonly phase: Phase;
  readonly merged_rounds: number;
  readonly rounds: number;
  /** What the merged rounds issued: held + unearned. */
  readonly emitted: number;
  readonly unearned: number;
  /** What the rounds to come promise. */
  readonly to_come: number;
  /** The run that this one started from, and the thousandths of each round that flow to its holders. */
  readonly lineage: { readonly run: string; readonly merged_rounds: number; readonly royalty_permille: number } | null;
  /** The largest first. */
  readonly holders: readonly Holding[];
  readonly forfeits: readonly Forfeit[];
  /** Who has been given which stages of the model lately; null where it is not cut. */
  readonly stages: StagesOfRun | null;
  /** That the hub's clock is ahead of the reader's, or that the run goes on elsewhere; null where neither is so. Such a log is otherwise valid. */
  readonly warning: string | null;
}

/** Replays a log with a number of threads that suits it. Throws AuditFailure, PublicLogError. */
export async function replayWithPool(log: PublicLog, options: Omit<ReplayOptions, 'pool'> = {}): Promise<Replay> {
  const pool = await openAuditPool(log.where, threadsFor(log.size));
  try {
    return await replayLog(log, { ...options, pool });
  } finally {
    await pool.close();
  }
}

/** The shares of the run whose id begins with `wanted`. Throws LookupError, AuditFailure, PublicLogError. */
export async function holdingsOf(log: PublicLog, wanted: string, now_ms = Date.now()): Promise<Holdings> {
  const { state } = await replayWithPool(log);
  const run = chooseRunIn(state, wanted);
  let to_come = 0;
  const last = run.phase === 'finished' ? run.round : run.spec.rounds; // a run may end before its rounds are over
  for (let round = run.round; round < last; round++) to_come += emissionOf(run.rules.emission, round);
  return {
    run: run.id,
    name: run.spec.name,
    phase: run.phase,
    merged_rounds: run.round,
    rounds: run.spec.rounds,
    emitted: run.emitted_shares,
    unearned: run.unearned_shares,
    to_come,
    lineage: run.lineage && {
      run: run.lineage.run,
      merged_rounds: run.lineage.merged_rounds,
      royalty_permille: run.lineage.royalty_permille,
    },
    holders: holdersOf(state, run),
    forfeits: [...run.peers.values()]
      .filter(({ forfeited_shares, plants_wrong }) => forfeited_shares > 0 || plants_wrong > 0)
      .map(({ id, name, role, forfeited_shares: shares, plants_wrong }) => ({ id, name, role, shares, plants_wrong })),
    stages: stagesHeldIn(state, run),
    warning: readerWarning(state, run, now_ms),
  };
}

function holdersOf(state: NetworkState, run: RunState): Holding[] {
  const devices = new Map<string, Holding['devices'][number][]>();
  for (const { id, name, role } of run.peers.values()) {
    const account = accountOf(state, id);
    devices.set(account, [...(devices.get(account) ?? []), { id, name, role }]);
  }
  const owner = accountOf(state, run.owner);
  return [...allBalances(run)]
    .filter(([, { held }]) => held > 0)
    .map(([account, { held: shares, ...parts }]) => ({
      account,
      shares,
      ...parts,
      devices: devices.get(account) ?? [],
      owner: account === owner,
      ancestor: run.lineage?.holders.has(account) ?? false,
    }))
    .sort((a, b) => b.shares - a.shares || (a.account < b.account ? -1 : 1));
}

/** The run that a name or the beginning of an id means; a sentence where it matches none or several. */
export function loggedRun(state: NetworkState, wanted: string | undefined): RunState | string {
  const runs = [...state.runs.values()].map((run) => {
    return { id: run.id, name: run.spec.name, finished: run.phase === 'finished', run };
  });
  const found = runMeant(runs, wanted, 'the log');
  return typeof found === 'string' ? found : found.run;
}

/** As loggedRun. Throws LookupError no-such-run. */
export function chooseRunIn(state: NetworkState, wanted: string): RunState {
  const found = loggedRun(state, wanted);
  if (typeof found === 'string') throw new LookupError('no-such-run', found);
  return found;
}
