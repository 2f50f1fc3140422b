// How much of a round a worker without a record does: all of its judges re-execute it, so it is little, but enough to judge.
import type { Rules } from '../core/rules.ts';
import type { AnyGame, Round } from './game.ts';

const PART = 10;
/** With a single step nobody could see how the loss changes. */
const LEAST = 2;

/** The number of steps of a first work, of a whole round's steps. */
export const firstSteps = (steps: number): number => Math.max(LEAST, Math.ceil(steps / PART));

/** How many of a round's steps a worker may take. At least one; where not even that is allowed, the hub says so. */
export function stepsAllowed(steps: number, amount_per_step: number, { most_amount }: Round): number {
  if (most_amount === undefined) return steps;
  return Math.min(steps, Math.max(1, Math.floor(most_amount / amount_per_step)));
}

/** A run's rules, with the game's own bound for a first work where the owner has set none. */
export const withFirstWork = async (rules: Rules, game: AnyGame, params: unknown): Promise<Rules> =>
  game.firstAmount ? { first_amount: await game.firstAmount(params), ...rules } : rules;
