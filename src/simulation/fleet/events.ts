// How many events a round writes into its run's log: counted from the core's rules, not fitted. simulation/fleet/agreement.test.ts holds it against
// the log of the real hub.
import { CORE_LIMITS } from '../../core/limits.ts';
import { TICK_EVERY_MS } from '../../hub/round-plan.ts';

export interface RoundEvents {
  /** `work.submitted`: one for each work. */
  readonly works: number;
  /** `verdict.sealed` and `verdict.given`: each judge of a work writes both. */
  readonly verdicts: number;
  /** `peer.joined` and `peer.left`. */
  readonly comings: number;
  /** What the hub writes: `round.opened`, `round.drawn`, `round.merged` and ticks. */
  readonly round: number;
  /** `model.evaluated`: every validator measures every model. */
  readonly evaluations: number;
}

export interface Busy {
  readonly works: number;
  readonly judges: number;
  /** Who may judge, and how many of the works come to an appeal. */
  readonly eligible: number;
  readonly appeals: number;
  readonly comings: number;
  readonly work_s: number;
  readonly judging_s: number;
}

/** Judging is timed from a tick of its own, and so is revealing (core/rounds/deadlines.ts); a round that opens has one before it. */
const TIMED = 3;

/** The events of a round. */
export function eventsOf({ works, judges, eligible, appeals, comings, work_s, judging_s }: Busy): RoundEvents {
  const seats = Math.min(judges, eligible);
  const jury = Math.min(CORE_LIMITS.jury, eligible);
  const ticks = TIMED + (1000 * (work_s + judging_s)) / TICK_EVERY_MS;
  const drawn = works > 0 && seats > 0 ? 1 : 0;
  return {
    works,
    verdicts: 2 * works * (seats + appeals * jury),
    comings,
    round: 2 + drawn + ticks,
    evaluations: eligible,
  };
}

export const sumOfEvents = ({ works, verdicts, comings, round, evaluations }: RoundEvents): number =>
  works + verdicts + comings + round + evaluations;
