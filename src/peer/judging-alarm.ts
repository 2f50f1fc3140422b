// Whether a judge repeats a piece of work. A newcomer's is repeated by all of its judges. Of others the first judge draws, repeats alone
// what was drawn, and announces the draw with what came of it: where that raises the alarm, the other judges repeat the work as well.
import { bytesToHex } from '@noble/hashes/utils.js';
import { firstJudge } from '../core/judging.ts';
import { reexecutionPermille } from '../core/reexecution.ts';
import type { Timer } from '../protocol/clock.ts';
import type { RunView } from '../protocol/messages.ts';
import { drawFor } from './judging-draw.ts';
import type { Seat } from './role.ts';

type SubmissionView = RunView['submissions'][number];

/** What a judge does about repeating one submission. */
export interface Duty {
  readonly repeat: boolean;
  /** To be called with what the check found, before the verdict is sealed. */
  tell(accepted: boolean): Promise<void>;
}

export interface JudgingDuties {
  /** For every view as it arrives. */
  glance(view: RunView): void;
  /** Waits for the first judge's word for at most so long; where it does not come, withholding it helps nobody: the work is repeated. */
  dutyFor(view: RunView, submission: SubmissionView, wait_ms: number): Promise<Duty>;
  /** Those first for which others wait, those last for which this judge would have to wait. */
  inOrder(view: RunView, submissions: readonly SubmissionView[]): SubmissionView[];
}

const NOTHING_TO_TELL = async (): Promise<void> => {};

/** `orTell` takes what a hub refuses: an announcement that comes too late, or twice. */
export function judgingDuties(seat: Seat, orTell: (error: unknown) => void): JudgingDuties {
  const { identity, clock } = seat;
  /** The newest view, also while the role is at work on an older one, and who waits for it. */
  let newest: RunView | null = null;
  let heard = () => {};

  const rateOf = (view: RunView, submission: SubmissionView): number =>
    reexecutionPermille(submission, view.reexecute_permille, view.probation);
  const isFirst = (view: RunView, { worker, judges }: SubmissionView): boolean =>
    firstJudge(view.seed, worker, judges) === identity.id;

  const ownDuty = async (submission: SubmissionView, rate: number): Promise<Duty> => {
    const { id, draw_permille } = submission;
    const { signature, permille } = await drawFor(identity, id);
    const announce = async (alarm: boolean): Promise<void> => {
      if (draw_permille !== null) return; // announced before a restart
      const body = { submission: id, signature: bytesToHex(signature), alarm };
      await seat.submit({ type: 'draw.announced', version: 1, run: seat.run, ...body }).catch(orTell);
    };
    const repeat = permille < rate;
    if (!repeat) await announce(false);
    return { repeat, tell: repeat ? (accepted) => announce(!accepted) : NOTHING_TO_TELL };
  };

  const alarmOf = async (id: string, wait_ms: number): Promise<boolean> => {
    const until_ms = clock.elapsed_ms() + wait_ms;
    for (;;) {
      const known = newest?.submissions.find((other) => other.id === id);
      if (known && known.draw_permille !== null) return known.alarm;
      const left_ms = until_ms - clock.elapsed_ms();
      if (left_ms <= 0) return true;
      let timer: Timer;
      await new Promise<void>((resolve) => {
        heard = resolve;
        timer = clock.setTimeout(resolve, left_ms);
      });
      clock.clearTimeout(timer!);
    }
  };

  return {
    glance(view) {
      newest = view;
      heard();
    },
    async dutyFor(view, submission, wait_ms) {
      const rate = rateOf(view, submission);
      if (rate >= 1000) return { repeat: true, tell: NOTHING_TO_TELL };
      if (isFirst(view, submission)) return ownDuty(submission, rate);
      newest ??= view;
      return { repeat: await alarmOf(submission.id, wait_ms), tell: NOTHING_TO_TELL };
    },
    inOrder(view, submissions) {
      const urgency = (submission: SubmissionView): number => {
        if (rateOf(view, submission) >= 1000 || submission.draw_permille !== null) return 1;
        return isFirst(view, submission) ? 0 : 2;
      };
      return submissions.toSorted((a, b) => urgency(a) - urgency(b));
    },
  };
}
