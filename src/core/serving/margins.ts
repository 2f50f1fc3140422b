// Limits of judging as the log has them, in millionths of a nat, and as judges compute with them, in nats.
import type { Margins } from '../events/limits-published.ts';

const MICRO = 1_000_000;

/** In nats; what each is: `Margins`. */
export interface LimitsInNats {
  readonly per_draw: number;
  readonly allowance: number;
  readonly end_margin: number;
  readonly logprob_distance: number;
  readonly usual_per_draw: number;
  readonly sum: number;
}

export const inNats = (margins: Margins): LimitsInNats => ({
  per_draw: margins.per_draw_micro / MICRO,
  allowance: margins.allowance_micro / MICRO,
  end_margin: margins.end_margin_micro / MICRO,
  logprob_distance: margins.logprob_distance_micro / MICRO,
  usual_per_draw: margins.usual_per_draw_micro / MICRO,
  sum: margins.sum_micro / MICRO,
});

/** Rounded to whole millionths. */
export const inMicro = (limits: LimitsInNats): Margins => ({
  per_draw_micro: Math.round(limits.per_draw * MICRO),
  allowance_micro: Math.round(limits.allowance * MICRO),
  end_margin_micro: Math.round(limits.end_margin * MICRO),
  logprob_distance_micro: Math.round(limits.logprob_distance * MICRO),
  usual_per_draw_micro: Math.round(limits.usual_per_draw * MICRO),
  sum_micro: Math.round(limits.sum * MICRO),
});
