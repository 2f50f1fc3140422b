// What a validator does next with a view: decided here from what it knows; validator.ts acts on it.
import { SILENT_PART } from '../core/rounds/deadlines.ts';
import type { JudgedView } from '../protocol/from-hub.ts';
import type { SeenRun } from './round-work.ts';

/** The part of the remaining time that checks may take; the rest is for sending. */
const USED_PART = 0.7;

/** What a validator knows while it acts on a view. */
export interface JudgeKnows {
  readonly self: string;
  /** The newest view, which may have come while it judged. */
  readonly newest: SeenRun | null;
  /** What it has judged of the open round, by `instanceOf`. */
  readonly judged: ReadonlySet<string>;
  /** Milliseconds since it began to act on the view. */
  readonly elapsed_ms: number;
}

/** A key for judging a submission once: first, or in an appeal. */
export const instanceOf = ({ id, appealed }: Pick<JudgedView, 'id' | 'appealed'>): string => `${id} ${appealed}`;

export interface Judgement {
  readonly submission: JudgedView;
  /** How long its check may take, so that there is time for the other submissions as well. */
  readonly time_ms: number;
}

/** @returns the submission to judge next; null where there is none for this validator */
export function nextToJudge(view: SeenRun, { self, newest, judged, elapsed_ms }: JudgeKnows): Judgement | null {
  if (view.phase !== 'judging' || view.draw === null) return null;
  // This validator was too slow and was replaced, or the round went on.
  const given = newest?.submissions.filter(({ judges }) => !judges.includes(self)).map(({ id }) => id) ?? [];
  const waiting = view.submissions.filter(
    (submission) =>
      submission.judges.includes(self) &&
      !submission.sealed.includes(self) &&
      !judged.has(instanceOf(submission)) &&
      !given.includes(submission.id),
  );
  if (waiting.length === 0) return null;
  const [submission] = waiting;
  const left_ms = judgingTimeLeft(view, submission) - elapsed_ms;
  return { submission, time_ms: (left_ms * USED_PART) / waiting.length };
}

/** The time left for judging (the whole time before it is measured): until silent judges are replaced, unless that is over or nobody could replace them. */
function judgingTimeLeft({ remaining_ms, judging_ms }: SeenRun, { appealed }: JudgedView): number {
  const left_ms = remaining_ms || judging_ms;
  const first_ms = left_ms - Math.floor(judging_ms / SILENT_PART);
  return first_ms > 0 && !appealed ? first_ms : left_ms;
}

/** @returns the submissions whose committed (sealed) verdict of this validator must be revealed now */
export function toReveal({ phase, submissions }: SeenRun, self: string): string[] {
  if (phase !== 'revealing') return [];
  return submissions.filter(({ sealed, shown }) => sealed.includes(self) && !shown.includes(self)).map(({ id }) => id);
}

/** Whether to measure the view's model: it is not measured yet, and no round waits for verdicts. @param evaluated the last measured model */
export function isToEvaluate({ phase, model }: SeenRun, evaluated: string): boolean {
  return model !== evaluated && phase !== 'judging' && phase !== 'revealing' && phase !== 'merging';
}
