// When all places for strangers' runs are taken, the hub ends an abandoned run to make room for another, as the core allows.
import { abandonedFrom } from '../core/rounds/abandoned.ts';
import type { RunState } from '../core/state.ts';
import type { Clock } from '../protocol/clock.ts';
import { type LogClock, writeTick } from './log-clock.ts';
import type { RunPolicy } from './run-policy.ts';
import type { Sequencer } from './sequencer.ts';

/** After a restart of the hub, peers have this long to come back. */
const COME_BACK_MS = 3_600_000;
/** How often an idle hub, which otherwise writes no ticks, writes one while somebody wants a place, however many ask. */
const TICK_EVERY_MS = 60_000;

export interface AbandonedRuns {
  /** The log's time, for runs that might be abandoned; 0 while the hub has just been opened. */
  now_ms(): number;
  /** Somebody found no place: from now on the log shows since when runs are empty. */
  wanted(): void;
  /** Ends the run that must make room for this author's, if one must. */
  makeRoom(author: string, address: string | null): Promise<void>;
}

export function openAbandonedRuns(
  { state, write }: Pick<Sequencer, 'state' | 'write'>,
  policy: RunPolicy,
  options: { readonly clock: Clock; readonly time: LogClock; onError(error: unknown, where: string): void },
): AbandonedRuns {
  const { clock, time, onError } = options;
  const opened_ms = clock.elapsed_ms();
  let making: Promise<void> = Promise.resolve();

  const tick = (): Promise<void> => writeTick({ state, write }, time);
  const now_ms = (): number => (clock.elapsed_ms() - opened_ms < COME_BACK_MS ? 0 : time.now_ms());
  const isUntimed = (run: RunState): boolean =>
    run.empty_since_ms === 0 && abandonedFrom({ ...run, empty_since_ms: 1 }) < Number.POSITIVE_INFINITY;

  const endOne = async (author: string, address: string | null): Promise<void> => {
    if (!policy.inTheWay(author, address, state, now_ms())) return;
    await tick(); // the core uses the log's time, which stands still while nobody is connected
    const run = policy.inTheWay(author, address, state, state.time_ms);
    if (!run) return;
    const { id, round, attempt } = run;
    await write({ type: 'run.ended', version: 1, run: id, round, attempt });
  };

  return {
    now_ms,
    wanted() {
      if (time.now_ms() - state.time_ms < TICK_EVERY_MS) return;
      if ([...state.runs.values()].some(isUntimed)) tick().catch((error) => onError(error, 'the clock of empty runs'));
    },
    makeRoom(author, address) {
      const made = making.then(() => endOne(author, address));
      making = made.catch(() => {}); // the caller handles the error
      return made;
    },
  };
}
