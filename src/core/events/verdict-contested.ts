// Somebody says that what was decided about work was wrong.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { openContest, refusalOfContest } from '../rounds/contest.ts';
import { v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/**
 * By who may judge, or by the worker of work that was called made up: what was decided about a submission in an earlier round was wrong.
 * `contest` counts those of this submission from 0, so that neither it nor a verdict that it leads to can be used again.
 */
export const VerdictContestedSchema = z.strictObject({
  type: z.literal('verdict.contested'),
  ...v1,
  run: hash,
  submission: hash,
  contest: count,
});
export type VerdictContested = z.infer<typeof VerdictContestedSchema>;

export const verdictContested = runEvent(VerdictContestedSchema, {
  about: 'verdict',
  words: ({ submission }, who, say) =>
    `${who} contested what was decided about the work ${say.short(submission)}: everybody who may judge repeats it`,
  refusalOf: (_state, run, { author, body }) => refusalOfContest(run, author, body),
  apply: (_state, run, { author, body }) => openContest(run, author, body),
});
