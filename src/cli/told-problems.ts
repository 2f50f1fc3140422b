// Problems as an operator is told of them: the first of a kind at once, and of the same ones that follow how many they were. An engine that is away
// for a minute fails thousands of requests in the same words, among which nobody finds what else is wrong.
import type { Clock, Timer } from '../protocol/clock.ts';
import { formatCount } from './output.ts';

export const TOLD_LIMITS = {
  again_ms: 10_000, // between two lines of one kind
  kinds: 100, // beyond which each is told as it comes: words that differ each time are not collected
} as const;

export interface ToldProblems {
  heard(where: string, message: string): void;
  /** Tells what was not told yet. Call it once, at the end. */
  close(): void;
}

/** A problem as a process of a hub tells it with --json, in words. */
export function problemText({ message, again }: { readonly message?: unknown; readonly again?: unknown }): string {
  return again ? `${message} (${formatCount(Number(again))} more like it)` : String(message);
}

interface Kind {
  more: number;
  timer: Timer;
}

/** @param tell gets a problem, and how often it has come again since it was told last */
export function openToldProblems(
  tell: (where: string, message: string, again: number) => void,
  clock: Clock,
): ToldProblems {
  const kinds = new Map<string, Kind>();
  const keyOf = (where: string, message: string): string => JSON.stringify([where, message]);
  const tellRest = (key: string, { more }: Kind): void => {
    const [where, message] = JSON.parse(key) as [string, string];
    if (more > 0) tell(where, message, more);
  };
  const open = (key: string): void => {
    const kind: Kind = { more: 0, timer: undefined };
    kind.timer = clock.setTimeout(() => {
      kinds.delete(key);
      tellRest(key, kind);
      // It goes on: the next line comes after as long.
      if (kind.more > 0) open(key);
    }, TOLD_LIMITS.again_ms);
    kinds.set(key, kind);
  };
  return {
    heard(where, message) {
      const key = keyOf(where, message);
      const known = kinds.get(key);
      if (known) {
        known.more++;
        return;
      }
      tell(where, message, 0);
      if (kinds.size < TOLD_LIMITS.kinds) open(key);
    },
    close() {
      for (const [key, kind] of kinds) {
        clock.clearTimeout(kind.timer);
        tellRest(key, kind);
      }
      kinds.clear();
    },
  };
}
