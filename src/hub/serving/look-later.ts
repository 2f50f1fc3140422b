// What the plan of an answer sees of the pool: found among all devices when it is read, and then once. Most steps of a plan need none of it.
import type { Answer, PoolKnown } from './answer.ts';
import { between } from './plan.ts';
import type { DeviceKnown, Speed } from './rank.ts';

/** After how long a caller is asked to come again. */
export const RETRY = { least_ms: 250, most_ms: 30_000 } as const;

/** What one look at all devices of a model finds. */
export interface Looked {
  /** The best of those with room; undefined: none has. */
  readonly best: DeviceKnown | undefined;
  readonly offered: boolean;
  readonly free_places: number;
  readonly usual: Speed;
}

interface Others {
  /** Whether another answer waits for a device. */
  waits(): boolean;
  /** The answers of the same model. */
  answers(): readonly Answer[];
}

export function lookLater(look: () => Looked, { waits, answers }: Others): PoolKnown {
  let found: Looked | null = null;
  const looked = (): Looked => {
    found ??= look();
    return found;
  };
  return {
    get candidates() {
      const { best } = looked();
      return best ? [best.id] : [];
    },
    get offered() {
      return looked().offered;
    },
    get idle() {
      return !waits() && looked().free_places >= answers().reduce((sum, { leases }) => sum + leases.length, 0);
    },
    /** When the first of the answers that are written now is likely to end. */
    get retry_after_ms() {
      const least_left_tokens = Math.min(...answers().map(({ stream }) => stream.left_tokens));
      return Math.round(between(RETRY.least_ms, least_left_tokens * looked().usual.gap_ms, RETRY.most_ms));
    },
  };
}
