// Checks that a device has enough memory for a run's work: if not, it refuses before anything is fetched, and states both figures.
import type { AnyGame } from '../games/game.ts';
import { PeerError } from '../protocol/peer-errors.ts';

/** Throws PeerError `too-little-memory`. A game that does not state its need is tried. */
export async function checkMemory(game: AnyGame, params: unknown, available_bytes: number): Promise<void> {
  const { memory_bytes: needed_bytes = 0 } = await game.sizes(params);
  if (needed_bytes <= available_bytes) return;
  throw new PeerError(
    'too-little-memory',
    `the work of this run takes at least ${gigabytes(needed_bytes)} of memory (for training: weights, gradients, moments, activations), ` +
      `and ${gigabytes(available_bytes)} are free on this device`,
    { needed_bytes, available_bytes },
  );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toPrecision(2)} GB`;
}
