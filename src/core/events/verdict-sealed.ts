// A validator commits to what it found, before anybody shows anything.
import { z } from 'zod';
import { hash } from '../../protocol/schemas.ts';
import { countSeal } from '../rounds/attendance.ts';
import { refusalOfJurorsSeal } from '../rounds/contest.ts';
import { refusalOfSeal } from '../rounds/judging.ts';
import { noteSeal } from '../rounds/panel.ts';
import { appeal, contest, SeenHeadSchema, v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/**
 * By a validator that was drawn for this submission: the hash of its verdict (judging.ts, `sealOf`). Nobody can read it, so
 * nobody can copy it.
 */
export const VerdictSealedSchema = z.strictObject({
  type: z.literal('verdict.sealed'),
  ...v1,
  run: hash,
  submission: hash,
  appeal,
  contest,
  seal: hash,
  seen_head: SeenHeadSchema.optional(),
});
export type VerdictSealed = z.infer<typeof VerdictSealedSchema>;

export const verdictSealed = runEvent(VerdictSealedSchema, {
  about: 'verdict',
  words: ({ contest, submission }, who, say) =>
    `${who} has judged the ${contest === undefined ? '' : 'contested '}work ${say.short(submission)}, and keeps the verdict sealed until all have`,
  refusalOf: (_state, run, { author, body }) =>
    body.contest === undefined ? refusalOfSeal(run, author, body) : refusalOfJurorsSeal(run, author, body),
  apply(_state, run, { author, body }) {
    run.peers.get(author)!.judged = true;
    if (body.contest !== undefined) {
      run.contests.get(body.submission)!.seals.set(author, body.seal);
      return;
    }
    noteSeal(run, run.submissions.get(body.submission)!, author, body.seal);
    countSeal(run);
  },
});
