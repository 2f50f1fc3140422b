// How much of a round a worker without a record does: all of its judges repeat it, so it is little, and enough to see something in it.
import type { Rules } from '../core/rules.ts';
import type { AnyGame, Round } from './game.ts';

const PART = 10;
/** Of one step nobody sees how the loss goes on. */
const LEAST = 2;

/** What is asked of it, of a whole round's steps. */
export const firstSteps = (steps: number): number => Math.max(LEAST, Math.ceil(steps / PART));

/** How many of a round's steps its worker may take. One at least: where not even that is allowed the hub says so. */
export function stepsAllowed(steps: number, tokens_per_step: number, { most_tokens }: Round): number {
  if (most_tokens === undefined) return steps;
  return Math.min(steps, Math.max(1, Math.floor(most_tokens / tokens_per_step)));
}

/** A run's rules with what its game says of a first work, where its owner has not said otherwise. */
export const withFirstWork = async (rules: Rules, game: AnyGame, params: unknown): Promise<Rules> =>
  game.firstTokens ? { first_tokens: await game.firstTokens(params), ...rules } : rules;
