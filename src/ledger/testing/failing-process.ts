// A wrapper around any journal, as seen by a process that is paused, loses answers and dies.
import type { Random } from '../../protocol/random.ts';
import { LedgerError } from '../errors.ts';
import type { Journal } from '../journal.ts';

export interface FailingProcess {
  readonly journal: Journal;
  /** From now on the journal gets no calls from this process, and its answers do not arrive. */
  kill(): void;
}

/** Lets other tasks run: up to so many turns of the event loop. */
export async function pause(random: Random, turns: number): Promise<void> {
  for (let left = random.below(turns + 1); left > 0; left--) await new Promise((resolve) => setImmediate(resolve));
}

/** @param percent how many of a hundred calls of `append` fail with an unknown outcome: half of those have succeeded */
export function failingProcess(journal: Journal, random: Random, percent: number): FailingProcess {
  let alive = true;
  const mustLive = (): Promise<void> | void => {
    if (!alive) return new Promise(() => {});
  };
  const lost = (): LedgerError => new LedgerError('write-failed', 'planted: no answer from the journal');
  return {
    journal: {
      async append(batch) {
        const fate = random.below(200);
        await pause(random, 3);
        await mustLive();
        if (fate < percent) throw lost();
        await journal.append(batch);
        await mustLive();
        await pause(random, 3);
        await mustLive();
        if (fate < 2 * percent) throw lost();
      },
      async *read(number) {
        for await (const batch of journal.read(number)) {
          await mustLive();
          yield batch;
          await pause(random, 1);
        }
      },
    },
    kill() {
      alive = false;
    },
  };
}
