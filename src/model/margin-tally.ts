// The margins of an answer, or of many, added up and held against limits that a model's honest servers keep.
import { z } from 'zod';
import type { Margin } from './margin.ts';

/** Sums over judged draws; the draw of an end token is one of them. */
export interface MarginTally {
  readonly draws: number;
  /** Nats. */
  readonly margin: number;
  /** Draws in which the judge would have drawn another token. */
  readonly differing: number;
  /** The largest margin of a draw in which either the judge or the server, but not both, ended the answer. */
  readonly end_margin: number;
  /** Draws of tokens that may not come at all. */
  readonly impossible: number;
}

export const NO_DRAWS: MarginTally = { draws: 0, margin: 0, differing: 0, end_margin: 0, impossible: 0 };

export function addDraw(tally: MarginTally, drawn: Margin, served: number, end_ids: readonly number[]): MarginTally {
  const possible = Number.isFinite(drawn.margin);
  const one_ends = end_ids.includes(drawn.choice) !== end_ids.includes(served);
  return {
    draws: tally.draws + 1,
    margin: tally.margin + (possible ? drawn.margin : 0),
    differing: tally.differing + (drawn.choice === served ? 0 : 1),
    end_margin: one_ends && possible ? Math.max(tally.end_margin, drawn.margin) : tally.end_margin,
    impossible: tally.impossible + (possible ? 0 : 1),
  };
}

/**
 * What honest margins of a model stay below, served and judged in given quantisations (`npm run bench serve-limits` measures it). The sum of n
 * draws: `allowance + n · per_draw`. An honest answer's few differing tokens may come at once, hence the allowance; a liar's sum grows
 * past any allowance.
 */
export const MarginLimitsSchema = z.strictObject({
  per_draw: z.number().positive().max(1),
  allowance: z.number().positive().max(100),
  /** Of a single draw: who goes on where the answer should have ended is paid for all that comes after, which has no margin at all. */
  end_margin: z.number().positive().max(100),
});
export type MarginLimits = z.infer<typeof MarginLimitsSchema>;

/** What is wrong with margins, in a word; null: nothing. */
export function marginFault(tally: MarginTally, limits: MarginLimits): 'impossible-token' | 'margin' | 'end' | null {
  if (tally.impossible > 0) return 'impossible-token';
  if (tally.margin > limits.allowance + tally.draws * limits.per_draw) return 'margin';
  return tally.end_margin > limits.end_margin ? 'end' : null;
}
