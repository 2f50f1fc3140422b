// Deletes what nobody can need again of runs whose owners keep only what is recent: work and evidence of rounds that are over,
// bundles that no follower needs, checkpoints that a later one supersedes. First models and settings stay: others may name them.
import { blobsNamedBy, type LoggedEvent } from '../core/events.ts';
import { neededBlobs } from '../core/rounds/needed-blobs.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import type { BlobStore } from '../ledger/blob-store.ts';

/**
 * To be called with every event after it is durable. What goes out of use at one merge is deleted at the next, or at the run's end: whoever was
 * told of it can still fetch it meanwhile. A hub that is killed in between forgets to delete that much, never too much.
 */
export function openCompaction(
  state: NetworkState,
  blobs: Pick<BlobStore, 'delete'>,
  onError: (error: unknown) => void,
): (event: LoggedEvent) => void {
  /** By run: what was named and not retired yet. */
  const inUse = new Map<string, Set<string>>();
  const retired = new Map<string, Set<string>>();
  for (const run of state.runs.values()) if (run.spec.keep === 'recent') inUse.set(run.id, hashesNeeded(run));

  const turnOver = (run: RunState): void => {
    const before = inUse.get(run.id) ?? new Set();
    const now = hashesNeeded(run);
    const due = retired.get(run.id) ?? new Set();
    retired.set(run.id, without(before, now));
    inUse.set(run.id, now);
    const kept = new Set([...state.runs.values()].flatMap((other) => [...hashesNeeded(other), other.spec.model]));
    for (const hash of without(due, kept)) blobs.delete(hash).catch(onError);
  };

  return ({ body }) => {
    if (!('run' in body)) return;
    const run = state.runs.get(body.run);
    if (run?.spec.keep !== 'recent') return;
    let used = inUse.get(run.id);
    if (!used) {
      used = hashesNeeded(run);
      inUse.set(run.id, used);
    }
    for (const hash of blobsNamedBy(body)) used.add(hash);
    if (body.type === 'round.merged' || (body.type === 'run.ended' && run.phase === 'finished')) turnOver(run);
  };
}

const without = (hashes: Set<string>, others: Set<string>): Set<string> =>
  new Set([...hashes].filter((hash) => !others.has(hash)));

const hashesNeeded = (run: RunState): Set<string> => new Set(neededBlobs(run).map(([, hash]) => hash));
