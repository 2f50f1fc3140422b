// How many threads an engine computes with: as many as there are cores would make each wait for the others wherever one is busy.

/** The most threads that an engine takes, whoever asks. */
export const mostThreads = (cores: number): number => Math.max(1, cores - 1);

/**
 * How an engine computes a part of what its owner has asked for: first with fewer threads, which leaves whole cores to everybody else, then for a
 * part of the time. `part` of the time with `threads` comes to `duty` with `asked` threads.
 * Two threads on two busy cores took 328–534 CPU-ms a token where one took 13: llama.cpp's threads spin while they wait for each other.
 */
export function threadsFor(duty: number, asked: number): { readonly threads: number; readonly part: number } {
  const threads = Math.max(1, Math.ceil(asked * duty - 1e-9));
  return { threads, part: Math.min(1, (asked * duty) / threads) };
}
