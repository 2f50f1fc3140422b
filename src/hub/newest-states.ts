// Each run's newest state: its blobs lie beside those that the log names, for as long as it is the newest and no checkpoint; memory has only its name.
import type { KeptState } from '../games/state.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import type { BlobHolds } from './blob-holds.ts';
import type { Putting } from './state-work.ts';

export interface NewestStates {
  of(run: string): KeptState | null;
  /** Makes a run's next state, which is its newest then. What fails leaves nothing. Throws what `make` throws. */
  next<Made extends KeptState>(run: string, make: (putting: Putting) => Promise<Made>): Promise<Made>;
}

/**
 * @param present the store of their blobs. It must be empty at the start.
 * @param holds of the blobs that the log names: none of those that are put is deleted before its state is made
 */
export function openNewestStates(
  present: Pick<BlobStore, 'delete'>,
  { holding }: Pick<BlobHolds, 'holding'>,
): NewestStates {
  const states = new Map<string, KeptState & { readonly blobs: ReadonlySet<string> }>();

  /** Deletes what no run's newest state is made of. */
  const drop = async (hashes: ReadonlySet<string>): Promise<void> => {
    const used = new Set([...states.values()].flatMap(({ blobs }) => [...blobs]));
    for (const hash of hashes) if (!used.has(hash)) await present.delete(hash);
  };

  return {
    of: (run) => states.get(run) ?? null,
    async next(run, make) {
      const blobs = new Set<string>();
      const over = Promise.withResolvers<void>();
      const held = (hash: string): Promise<void> =>
        new Promise((isHeld) => {
          void holding([hash], () => {
            isHeld();
            return over.promise;
          });
        });
      try {
        const made = await make(async (hash, place) => {
          if (place === 'named') await held(hash);
          else blobs.add(hash);
        });
        const before = states.get(run)?.blobs ?? new Set();
        states.set(run, { model: made.model, rest: made.rest, blobs });
        await drop(before);
        return made;
      } catch (error) {
        await drop(blobs);
        throw error;
      } finally {
        over.resolve();
      }
    },
  };
}
