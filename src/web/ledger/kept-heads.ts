// The heads of a hub's log that this browser has seen, across visits: the newest one, and both where two contradict each other.
import type { HeadMemory } from './log-reader.ts';

const LIMITS = {
  notes: 4, // the newest one, and one that contradicts it
  characters: 8192, // of a note with the cosignatures that a hub keeps
} as const;

/** The heads in the browser's storage; where that is denied, none are stored. */
export function keptHeads(hub: string): HeadMemory {
  const key = `potluck-heads ${hub}`;
  return {
    read() {
      try {
        const kept: unknown = JSON.parse(localStorage.getItem(key) ?? '[]');
        return Array.isArray(kept) ? kept.filter((note) => typeof note === 'string').slice(0, LIMITS.notes) : [];
      } catch {
        return [];
      }
    },
    write(notes) {
      const fitting = notes.filter(({ length }) => length <= LIMITS.characters);
      try {
        localStorage.setItem(key, JSON.stringify(fitting.slice(0, LIMITS.notes)));
      } catch {
        // Denied or full: this visit still compares the heads that it sees.
      }
    },
  };
}
