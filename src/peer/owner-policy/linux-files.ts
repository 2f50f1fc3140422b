// Where a Linux tells of itself: small files below a root, which is another folder in tests.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../protocol/clock.ts';
import type { Run } from './sources.ts';

export interface LinuxPlace {
  /** '/' but in tests. */
  readonly root: string;
  readonly run: Run;
  readonly clock: Clock;
  /** Potluck's processes: their load and memory are not the owner's. */
  readonly own_pids: () => readonly number[];
  /** How long others' load must last to count; null: it counts for nothing. */
  readonly foreign_load_ms: () => number | null;
  /** The folder whose disk must not fill up. */
  readonly folder: string;
}

/** Reads a small file; null where it is not there, or is no longer. */
export async function textOf({ root }: Pick<LinuxPlace, 'root'>, ...path: string[]): Promise<string | null> {
  return readFile(join(root, ...path), 'utf8')
    .then((text) => text.trim())
    .catch(() => null);
}

export const namesIn = ({ root }: Pick<LinuxPlace, 'root'>, ...path: string[]): Promise<string[]> =>
  readdir(join(root, ...path)).catch(() => []);

/** For folders that never make a reader wait. */
export function namesNow({ root }: Pick<LinuxPlace, 'root'>, path: string): string[] {
  try {
    return readdirSync(join(root, path));
  } catch {
    return [];
  }
}

/** For files that never make a reader wait and are read several times a second: a tenth of the cost. null where one is not there. */
export function textNow({ root }: Pick<LinuxPlace, 'root'>, path: string): string | null {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return null;
  }
}

/**
 * Processes with all that they have started, such as one that talks to a GPU. See proc_pid_children(5); where a system has no such file,
 * the processes as they are.
 */
export function withDescendants(place: Pick<LinuxPlace, 'root'>, pids: readonly number[]): number[] {
  const found = [...pids];
  for (const pid of found) {
    const children = textNow(place, `proc/${pid}/task/${pid}/children`)?.match(/\d+/g) ?? [];
    found.push(...children.map(Number).filter((child) => !found.includes(child)));
  }
  return found;
}

/** When a file was read last, in milliseconds since 1970; null where it is not there. */
export function atimeNow({ root }: Pick<LinuxPlace, 'root'>, path: string): number | null {
  return statSync(join(root, path), { throwIfNoEntry: false })?.atimeMs ?? null;
}
