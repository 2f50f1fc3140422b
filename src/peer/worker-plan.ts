// What a worker does next with a round: decided here from what it knows; worker.ts acts on it.
import type { Claim } from '../games/game.ts';
import type { Obstacle, RunView } from '../protocol/messages.ts';
import { roundKey, taskKey } from './role.ts';

const LIMITS = {
  first_reserve_ms: 1000, // reserved at the end of a round for packing and sending, until that has been measured
  least_reserve_ms: 150,
  reserve_part: 0.4, // at most this part of what is left of the round
} as const;

const CAME_TO_NOTHING: Obstacle = {
  code: 'came-to-nothing',
  message: 'the work of a round failed, though there was time: in training, the loss became infinite or NaN',
};

const RESTS: Obstacle = {
  code: 'resting',
  message: 'this device rests through a round, so that it computes for no more of the time than its owner lends',
};

/**
 * What to do with a view while no work is under way.
 * @param done the round that was submitted, or the task that was given up
 */
export function planRound(view: RunView, done: string): 'learn' | 'keep-up' | 'wait' {
  if (view.phase !== 'working') return 'keep-up'; // so that the next round starts at once
  if (view.roster && view.stage === undefined) return 'keep-up'; // it has no stage of the model yet
  return [roundKey(view), taskKey(view)].includes(done) ? 'wait' : 'learn';
}

/**
 * What a view means for the round under way.
 * @param key that round; '' when there is none, or it does not count any more
 * @param stage the stage of the model that the work is of; undefined where the model is not cut
 */
export function planInterruption(view: RunView, key: string, stage?: number): 'missed' | 'moved' | 'stop' | null {
  if (!key) return null;
  if (roundKey(view) !== key) return 'missed'; // it is over, or was opened again
  if (view.stage !== stage) return 'moved'; // nobody takes this stage's work from this device any more
  return view.phase === 'working' ? null : 'stop'; // what is done is submitted, if it still counts
}

/** What is known when the work on a round has ended. */
export interface Ended {
  readonly claim: Claim | null;
  /** The round is still the same. */
  readonly counts: boolean;
  /** The device rested instead. */
  readonly rested: boolean;
  /** The round's time was over, or something else had stopped the work. */
  readonly stopped: boolean;
  /** The owner wants the device back. */
  readonly leaving: boolean;
  /** What made this device too slow for the round, if anything. */
  readonly tooSlow: Obstacle | null;
}

export type AfterWork =
  | { readonly do: 'hand-in'; readonly claim: Claim }
  | { readonly do: 'tell'; readonly why: Obstacle }
  | null;

export function planAfterWork({ claim, counts, rested, stopped, leaving, tooSlow }: Ended): AfterWork {
  if (claim && counts) return { do: 'hand-in', claim };
  if (leaving) return null;
  if (rested) return counts ? { do: 'tell', why: RESTS } : null; // else somebody else has ended the round
  if (claim || stopped) return tooSlow && { do: 'tell', why: tooSlow };
  return { do: 'tell', why: CAME_TO_NOTHING };
}

/** The time that a worker reserves at the end of a round, from the end of training to the hub's answer. */
export const FIRST_RESERVE_MS = LIMITS.first_reserve_ms;

/** @returns how long to work, of what is left of the round */
export function workingTime(left_ms: number, reserve_ms: number): number {
  return Math.max(0, left_ms - Math.min(reserve_ms, left_ms * LIMITS.reserve_part));
}

/** Grows fast and shrinks slowly, because being late costs a whole round. @param took_ms what packing and sending took */
export function nextReserve(reserve_ms: number, took_ms: number): number {
  return Math.max(LIMITS.least_reserve_ms, took_ms * 1.5, reserve_ms * 0.8);
}
