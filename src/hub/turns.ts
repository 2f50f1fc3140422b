// Limits parallel work: at most so many steps at once, the others in the order of their calls, so that many large tasks leave room for small ones.

/** Runs a step when it is its turn; resolves and rejects as the step does. */
export type Turns = <T>(step: () => Promise<T>) => Promise<T>;

export function openTurns(at_once: number): Turns {
  let free = at_once;
  const waiting: (() => void)[] = [];
  return async (step) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await step();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
