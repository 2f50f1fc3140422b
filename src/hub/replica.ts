// Everything that follows from the log: its state, and the histories that people are shown.
import type { StateMachine } from '../core/reduce.ts';
import type { TransparencyLog } from '../ledger/transparency-log.ts';
import type { Clock } from '../protocol/clock.ts';
import type { Identity } from '../protocol/identity.ts';
import { type Histories, openHistories } from './history.ts';
import { type MergedWork, openMergedWork } from './merged-work.ts';
import { openSamples, type Samples } from './samples.ts';
import { type Leader, openSequencer, type Sequencer } from './sequencer.ts';
import { type Keepsake, keptTogether, type Snapshots } from './snapshots.ts';
import { watchedBy } from './watched-machine.ts';
import { openWorkerHistories, type WorkerHistories } from './worker-histories.ts';

export interface Replica {
  readonly sequencer: Sequencer;
  readonly histories: Histories;
  readonly workers: WorkerHistories;
  readonly merged: MergedWork;
  readonly samples: Samples;
}

export interface ReplicaOptions {
  readonly log: TransparencyLog;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly machine: StateMachine;
  /** The process that leads, for one that begins as its follower. */
  readonly leader?: Leader;
  /** Without them every start replays the whole log. `beside` is what they keep beside the state. */
  readonly snapshots?: (beside: Keepsake) => Snapshots;
}

/** Replays the log, from a snapshot where there is one. Throws HubError `bad-folder`. */
export function openReplica({ log, identity, clock, machine, leader, snapshots }: ReplicaOptions): Replica {
  const histories = openHistories();
  const workers = openWorkerHistories();
  const merged = openMergedWork();
  const samples: Samples = openSamples(() => sequencer.state);
  const sequencer: Sequencer = openSequencer(log, identity, {
    clock,
    leader,
    machine: watchedBy(machine, [histories, workers, merged]),
    snapshots: snapshots?.(keptTogether([histories, workers, merged, samples])),
  });
  return { sequencer, histories, workers, merged, samples };
}
