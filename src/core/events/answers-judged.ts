// What judges have said of served answers, by device: counts alone, so that anybody sees a device's record, and nobody a prompt or an answer.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { CORE_LIMITS } from '../limits.ts';
import { applyJudged, refusalOfJudged } from '../serving/judged.ts';
import { v1 } from './fields.ts';
import { networkEvent } from './kind.ts';

const parts = count.max(CORE_LIMITS.judged_parts);

/**
 * By the hub, every so often: of each device how many parts of answers judges have accepted, and how many refused since the last time. A device that
 * only the sum of its margins has found counts as refused once. In order of id. `number` counts such events from 0.
 */
export const AnswersJudgedSchema = z.strictObject({
  type: z.literal('answers.judged'),
  ...v1,
  number: count,
  devices: z
    .array(z.tuple([hash, parts, parts]))
    .min(1)
    .max(CORE_LIMITS.judged_devices)
    .refine(
      (rows) => rows.every(([id, accepted, refused], i) => accepted + refused > 0 && (i === 0 || rows[i - 1][0] < id)),
      'expected each device once, in order of id, with at least one part',
    ),
});
export type AnswersJudged = z.infer<typeof AnswersJudgedSchema>;

export const answersJudged = networkEvent(AnswersJudgedSchema, {
  by_hub: 'verdicts on answers are counted',
  about: 'verdict',
  words: ({ devices }, _who, say) => {
    const sum = (column: 1 | 2): number => devices.reduce((all, row) => all + row[column], 0);
    const how = `${say.whole(sum(1))} accepted, ${say.whole(sum(2))} refused`;
    return `judges looked at answers of ${say.count(devices.length, 'device')}: ${how}`;
  },
  refusalOf: (state, { body }) => refusalOfJudged(state, body),
  apply: (state, { body }) => applyJudged(state, body),
});
