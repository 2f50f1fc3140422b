// A journal as a process sees it that is paused, loses answers and dies: around any journal.
import type { Random } from '../../protocol/random.ts';
import { LedgerError } from '../errors.ts';
import type { Journal } from '../journal.ts';

export interface FailingProcess {
  readonly journal: Journal;
  /** From now on nothing is asked of the journal, and no answer of it arrives. */
  kill(): void;
}

/** Lets others do something: up to so many turns of the event loop. */
export async function pause(random: Random, turns: number): Promise<void> {
  for (let left = random.below(turns + 1); left > 0; left--) await new Promise((resolve) => setImmediate(resolve));
}

/** @param percent of a hundred calls of `append`, how many are told that nobody knows whether they succeeded: half of them have */
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
