// For runs whose owners keep only recent data, deletes what nobody can need again: work and evidence of past rounds, bundles that no follower
// needs, superseded checkpoints. First models and settings stay, because other runs may name them.
import { blobsNamedBy, type LoggedEvent } from '../core/events.ts';
import { neededBlobs } from '../core/rounds/needed-blobs.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { partsNamedIn } from '../games/state.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { PART_BYTES } from '../model/tensor-manifest.ts';
import type { BlobHolds } from './blob-holds.ts';

/**
 * Call it with every event after it is durable. What becomes unused at one merge is deleted at the next, or at the run's end, so that peers
 * that were told of it can still fetch it meanwhile. A hub that is killed in between may forget to delete something, never delete too much.
 */
export function openCompaction(
  state: NetworkState,
  blobs: Pick<BlobStore, 'delete' | 'get' | 'sizeOf'>,
  holds: Pick<BlobHolds, 'remove'>,
  onError: (error: unknown) => void,
): (event: LoggedEvent) => void {
  /** By run: what was named and is still in use. */
  const inUse = new Map<string, Set<string>>();
  const retired = new Map<string, Set<string>>();
  for (const run of state.runs.values()) if (run.spec.keep === 'recent') inUse.set(run.id, hashesNeeded(run));

  const turnOver = (run: RunState): void => {
    const before = inUse.get(run.id) ?? new Set();
    const now = hashesNeeded(run);
    const due = retired.get(run.id) ?? new Set();
    retired.set(run.id, without(before, now));
    inUse.set(run.id, now);
    deleteAll([...due]).catch(onError);
  };

  /** What runs need now, by hash, but for the parts of models. */
  const keptNow = (): { readonly models: Set<string>; readonly kept: Set<string> } => {
    const runs = [...state.runs.values()];
    const models = runs.flatMap(({ spec, checkpoint: { model, rest } }) => [
      spec.model,
      model,
      ...(rest ? [rest] : []),
    ]);
    return { models: new Set(models), kept: new Set([...models, ...runs.flatMap((run) => [...hashesNeeded(run)])]) };
  };

  /**
   * A model is deleted with its parts, except those that a kept model shares. Each is looked at when its turn comes: meanwhile
   * another run may have made a checkpoint that shares it.
   */
  const deleteAll = async (hashes: readonly string[]): Promise<void> => {
    const parts = (await Promise.all(hashes.map(partsOf))).flat();
    const shared = new Map<string, readonly string[]>();
    const isNeeded = async (hash: string): Promise<boolean> => {
      const { models, kept } = keptNow();
      if (kept.has(hash)) return true;
      if (parts.length === 0) return false;
      for (const model of models) if (!shared.has(model)) shared.set(model, await partsOf(model));
      return [...models].some((model) => shared.get(model)!.includes(hash));
    };
    for (const hash of new Set([...hashes, ...parts])) {
      await holds.remove(hash, async () => {
        if (!(await isNeeded(hash))) await blobs.delete(hash);
      });
    }
  };
  const partsOf = async (hash: string): Promise<readonly string[]> => {
    const size_bytes = (await blobs.sizeOf(hash)) ?? 0;
    const bytes = size_bytes > 0 && size_bytes <= PART_BYTES ? await blobs.get(hash) : null;
    return bytes ? partsNamedIn(bytes) : [];
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
