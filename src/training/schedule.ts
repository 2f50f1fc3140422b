// The learning rate over a run: linear warm-up, then half a cosine down to a floor (SGDR, arXiv 1608.03983, without restarts).

export interface Schedule {
  readonly total_steps: number;
  readonly warmup_steps: number;
  /** The highest rate, reached at the end of the warm-up. */
  readonly learning_rate: number;
  /** The rate at `total_steps` and after. */
  readonly min_learning_rate: number;
}

/**
 * The learning rate of inner step `position` (from 0) of a run. Positions may be fractions, so that a run can also be measured in tokens.
 * A pure function: workers of different speeds that agree on the position agree on the rate.
 */
export function learningRate(position: number, schedule: Schedule): number {
  const { total_steps, warmup_steps, learning_rate, min_learning_rate } = schedule;
  if (position < warmup_steps) return (learning_rate * (position + 1)) / warmup_steps;
  const decay_steps = Math.max(1, total_steps - warmup_steps);
  const progress = Math.min(1, (position - warmup_steps) / decay_steps);
  return min_learning_rate + ((learning_rate - min_learning_rate) * (1 + Math.cos(Math.PI * progress))) / 2;
}
