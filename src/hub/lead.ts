// What the process that leads a hub does, and no other: rounds, merges, and the deletion of uploads that nothing names.
import type { RunState } from '../core/state.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import type { TransparencyLog } from '../ledger/transparency-log.ts';
import type { Clock } from '../protocol/clock.ts';
import type { DrawingIdentity } from '../protocol/identity.ts';
import type { LogClock } from './log-clock.ts';
import type { Models } from './models.ts';
import { driveRounds } from './rounds.ts';
import type { Sequencer } from './sequencer.ts';
import { openSweeps } from './sweep.ts';
import type { UnnamedBlobs } from './unnamed-blobs.ts';

export interface LeadOptions {
  readonly sequencer: Sequencer;
  readonly merge: Models['merge'];
  readonly identity: DrawingIdentity;
  readonly clock: Clock;
  readonly time: LogClock;
  readonly blobs: BlobStore;
  readonly log: TransparencyLog;
  readonly unnamed: UnnamedBlobs;
  onError(error: unknown, where: string): void;
}

export interface Lead {
  /** What keeps a run from going on; null for nothing. */
  problemOf(run: RunState): string | null;
  /** Resolves when nothing is under way. */
  close(): Promise<void>;
}

export function openLead({ sequencer, merge, identity, onError, ...rest }: LeadOptions): Lead {
  const rounds = driveRounds({
    ...{ ...rest, sequencer, models: { merge }, identity },
    onError: (error, run) => onError(error, `round ${run.round} of run ${run.id}`),
    onSkew: (error) => onError(error, 'the clock'),
  });
  const sweeps = openSweeps({
    ...{ ...rest, state: sequencer.state },
    onError: (error) => onError(error, 'deleting uploads that nothing names'),
  });
  return {
    problemOf: rounds.problemOf,
    async close() {
      await rounds.close();
      await sweeps.close();
    },
  };
}
