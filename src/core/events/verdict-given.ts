// A validator shows what it had sealed.
import { z } from 'zod';
import { count, hash, oneLine } from '../../protocol/schemas.ts';
import { countVerdict } from '../rounds/attendance.ts';
import { refusalOfJurorsVerdict } from '../rounds/contest.ts';
import { refusalOfVerdict } from '../rounds/judging.ts';
import { appeal, contest, measures, micro, v2 } from './fields.ts';
import { runEvent } from './kind.ts';

/**
 * By a validator, when all verdicts are sealed: what it found, with the numbers behind it, as the run's game names them.
 * `weight` is how much of the submission's amount it vouches for; `fraud` says that the work is not merely poor but made up;
 * `evidence` names a blob with the measurements.
 */
export const VerdictGivenSchema = z.strictObject({
  type: z.literal('verdict.given'),
  ...v2,
  run: hash,
  submission: hash,
  appeal,
  contest,
  salt: hash,
  accepted: z.boolean(),
  fraud: z.boolean(),
  code: oneLine(60),
  weight: count,
  score_micro: micro,
  numbers: measures,
  evidence: hash,
});
export type VerdictGiven = z.infer<typeof VerdictGivenSchema>;

export const verdictGiven = runEvent(VerdictGivenSchema, {
  about: 'verdict',
  blobs: ({ evidence }) => [evidence],
  words({ accepted, contest, submission, numbers }, who, say) {
    const found = say.measures(numbers);
    const work = `the ${contest === undefined ? '' : 'contested '}work ${say.short(submission)}`;
    return `${who} ${accepted ? 'accepted' : 'refused'} ${work}${found && `: ${found}`}`;
  },
  refusalOf: (_state, run, { author, body }) =>
    body.contest === undefined ? refusalOfVerdict(run, author, body) : refusalOfJurorsVerdict(run, author, body),
  apply(_state, run, { author, body }) {
    if (body.contest !== undefined) {
      run.contests.get(body.submission)!.verdicts.set(author, body);
      return;
    }
    run.submissions.get(body.submission)!.verdicts.set(author, body);
    countVerdict(run, run.peers.get(author)!);
  },
});
