// Sums by name. A sum of zero is removed, and no sum can be negative.
import { assert } from '../errors.ts';

export interface Tally {
  of(name: string): number;
  /** Throws where more is subtracted than was added, which would be a bug of the caller. */
  add(name: string, change: number): void;
  readonly all: ReadonlyMap<string, number>;
}

export function openTally(): Tally {
  const all = new Map<string, number>();
  return {
    all,
    of: (name) => all.get(name) ?? 0,
    add(name, change) {
      const sum = (all.get(name) ?? 0) + change;
      assert(sum >= 0, 'no more is subtracted than was added');
      if (sum === 0) all.delete(name);
      else all.set(name, sum);
    },
  };
}
