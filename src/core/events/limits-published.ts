// A run's owner says what honest answers of the run's models stay below, so that judges and everybody know what is held against a device.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { quantisation } from '../../protocol/serving-messages.ts';
import { applyLimits, refusalOfLimits } from '../serving/judged.ts';
import { v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/**
 * In millionths of a nat. Below the least ones, engines that agree to the last bits but a few would be refused; above the largest, nobody would.
 */
export const MarginsSchema = z.strictObject({
  /** The sum of an answer's n draws: `allowance + n · per_draw` (model/margin-tally.ts). */
  per_draw_micro: z.int().min(200).max(100_000),
  allowance_micro: z.int().min(50_000).max(10_000_000),
  end_margin_micro: z.int().min(100_000).max(10_000_000),
  logprob_distance_micro: z.int().min(2000).max(1_000_000),
  /** Of a device's answers together (model/margin-sum.ts). */
  usual_per_draw_micro: z.int().min(20).max(100_000),
  sum_micro: z.int().min(200_000).max(1_000_000_000),
});
export type Margins = z.infer<typeof MarginsSchema>;

/** By the run's owner, as `bench serve-limits` measured them (`potluck rules limits`). `number` counts them from 0, so that none can be used again. */
export const LimitsPublishedSchema = z.strictObject({
  type: z.literal('limits.published'),
  ...v1,
  run: hash,
  number: count,
  quantisation,
  margins: MarginsSchema,
});
export type LimitsPublished = z.infer<typeof LimitsPublishedSchema>;

export const limitsPublished = runEvent(LimitsPublishedSchema, {
  about: 'run',
  words: ({ quantisation, margins }, who) =>
    `${who} published how far honest answers in ${quantisation} may be off: ${margins.usual_per_draw_micro / 1e6} nats a draw in the long run`,
  refusalOf: (_state, run, { author, body }) => refusalOfLimits(run, author, body),
  apply: (_state, run, { body }) => applyLimits(run, body),
});
