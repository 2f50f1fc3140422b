// How many threads an engine may compute with: as many as there are cores would make each wait for the others wherever one is busy.

/** The cores of a device as its owner uses them. */
export interface CoresNow {
  readonly cores: number;
  /** Cores that other programs use now; a fraction counts as a core. */
  readonly busy_cores: number;
  /** Whether somebody is at the machine. */
  readonly in_use: boolean;
}

/**
 * One fewer than the idle cores, never all, at most half while somebody is at the machine; one in any case.
 * Two threads on two busy cores took 328–534 CPU-ms a token where one took 13: llama.cpp's threads spin while they wait for each other.
 */
export function servingThreads({ cores, busy_cores, in_use }: CoresNow): number {
  const idle = cores - Math.ceil(busy_cores);
  const most = in_use ? Math.floor(cores / 2) : cores - 1;
  return Math.max(1, Math.min(idle - 1, most));
}

/** The most threads that an engine takes, whoever asks. */
export const mostThreads = (cores: number): number => Math.max(1, cores - 1);
