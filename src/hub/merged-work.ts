// Which works the last merges took: whoever handed one in asks whether it is in the model, and gets a proof against the merge in the log.
import { type Membership, membershipsIn } from '../core/rounds/merged-list.ts';
import type { Keepsake } from './snapshots.ts';
import type { Watcher } from './watched-machine.ts';

/** Of all merges together, the newest first: some 4 MB, which is two rounds of as many workers as a run may have. */
const KEPT_IDS = 40_000;

/** `ids` in rising order. */
interface Merged {
  readonly run: string;
  readonly round: number;
  readonly ids: readonly string[];
}

export interface MergedWork extends Keepsake, Watcher {
  /** Whether the merge of a round took a work; null where there is no such merge, or it is forgotten. */
  of(run: string, round: number, submission: string): Membership | null;
}

export function openMergedWork(): MergedWork {
  let kept: Merged[] = [];
  let size = 0;

  const note = (merged: Merged): void => {
    kept.push(merged);
    size += merged.ids.length;
    while (kept.length > 1 && size > KEPT_IDS) size -= kept.shift()!.ids.length;
  };

  return {
    saw(_state, { body }, merged) {
      if (body.type !== 'round.merged' || body.bundle === null) return;
      note({ run: body.run, round: body.round, ids: merged.map(({ id }) => id) });
    },
    of(run, round, submission) {
      const merged = kept.find((one) => one.run === run && one.round === round);
      return merged ? membershipsIn(merged.ids)(submission) : null;
    },
    take: () => kept.map(({ run, round, ids }) => [run, round, ids]),
    restore(restored) {
      kept = [];
      size = 0;
      for (const [run, round, ids] of restored as [string, number, string[]][]) note({ run, round, ids });
    },
  };
}
