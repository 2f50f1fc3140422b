// Events on their way to the leader: what comes while others are under way is asked together, because a question costs the leader as much as an event.
import type { Clock } from '../../protocol/clock.ts';
import { TOGETHER } from './subjects.ts';

/** Hands events in with one question; each has an answer of its own, in the same order. Rejects where the question has none. */
type Ask = (events: Uint8Array[]) => Promise<readonly Promise<number>[]>;

interface Waiting {
  readonly event: Uint8Array;
  resolve(index: number | Promise<number>): void;
  reject(error: unknown): void;
}

/** Resolves to the index of an event, or rejects as its answer does. Where no question is under way an event waits for nothing. */
export function openTogether(clock: Clock, ask: Ask): (event: Uint8Array) => Promise<number> {
  let waiting: Waiting[] = [];
  let planned = false;
  let asked = 0;
  const askAll = async (all: readonly Waiting[]): Promise<void> => {
    asked++;
    try {
      const answers = await ask(all.map(({ event }) => event));
      for (const [i, { resolve }] of all.entries()) resolve(answers[i]);
    } catch (error) {
      for (const { reject } of all) reject(error);
    } finally {
      asked--;
    }
  };
  const go = (): void => {
    planned = false;
    for (let from = 0; from < waiting.length; ) {
      const to = endOf(waiting, from);
      void askAll(waiting.slice(from, to));
      from = to;
    }
    waiting = [];
  };
  return (event) =>
    new Promise((resolve, reject) => {
      waiting.push({ event, resolve, reject });
      if (planned) return;
      if (asked === 0) return go();
      planned = true;
      clock.setTimeout(go, 0);
    });
}

/** How far a question reaches that begins here: at least one event. */
function endOf(waiting: readonly Waiting[], from: number): number {
  let to = from + 1;
  let size_bytes = waiting[from].event.length;
  for (; to < waiting.length && to - from < TOGETHER.events; to++) {
    size_bytes += waiting[to].event.length;
    if (size_bytes > TOGETHER.bytes) break;
  }
  return to;
}
