// Sums by name: what comes to nothing is forgotten, and nothing comes to less.
import { assert } from '../errors.ts';

export interface Tally {
  of(name: string): number;
  /** Throws where more is taken away than was there: whoever counts has counted wrong. */
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
      assert(sum >= 0, 'nobody takes away more than was added');
      if (sum === 0) all.delete(name);
      else all.set(name, sum);
    },
  };
}
