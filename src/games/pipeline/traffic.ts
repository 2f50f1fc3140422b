// What a worker of a stage tells while it works, for people who look on: what it has handed on and waits for, and what waits for it.
import type { Numbers } from '../game.ts';

export interface Traffic {
  /** Micro-batches that came back through it in this round. */
  readonly micro_batches: number;
  /** Handed on to the next stage, and not back. */
  readonly under_way: number;
  /** Come in, and not begun. */
  readonly queued: number;
}

/** They are no part of a claim: what is on its way when a round ends is not work. */
export const trafficNumbers = ({ under_way, queued }: Omit<Traffic, 'micro_batches'>): Numbers => ({
  under_way,
  queued,
});

/** Reads what a worker told; what it did not tell is 0. */
export const trafficOf = ({ micro_batches = 0, under_way = 0, queued = 0 }: Numbers): Traffic => ({
  ...{ micro_batches, under_way, queued },
});
