// The processor time of another process, as Linux counts it (proc(5)).
import { readFileSync } from 'node:fs';
import type { Child } from '../cli/children.ts';

const TICK_MS = 10; // USER_HZ is 100 wherever Node runs

/** What a process has taken so far, in milliseconds, user's and system's, of all its threads. Throws where it has ended. */
export const processorTimeMs = (child: Pick<Child, 'pid'>): number => processorTimeOf(child.pid()!);

/** The same of any process, by its number. */
export function processorTimeOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Behind the name in brackets, in which there may be anything, follow the fields from the third on: the 14th and 15th are meant.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
