// The clock of a run: deadlines come from ticks in the log, so a replay sees the same times, and nobody is waited for beyond one.

import { CORE_LIMITS } from '../limits.ts';
import { dropLateArrivals } from '../moving/late-arrivals.ts';
import type { NetworkState, RunState } from '../state.ts';
import { noteEmpty } from './abandoned.ts';
import { openAppeals } from './appeal.ts';
import { countOwed } from './attendance.ts';
import { noteSilent, seatValidators } from './eligible.ts';
import { awaitsDraw, isListComplete, owing, reseatJudges } from './panel.ts';

const isJudged = ({ phase }: RunState): boolean => phase === 'judging' || phase === 'revealing';

/** Moves the clock. A gap in the ticks is time in which the hub was away: deadlines move with it, nobody was late. */
export function applyTick(state: NetworkState, time_ms: number): void {
  const gap_ms = time_ms - state.time_ms;
  const away = state.time_ms > 0 && gap_ms > CORE_LIMITS.tick_gap_ms;
  state.time_ms = time_ms;
  dropLateArrivals(state);
  for (const run of state.runs.values()) {
    noteEmpty(run, time_ms);
    if (away && run.phase === 'working') run.deadline_ms += gap_ms;
    if (isJudged(run)) timeJudging(run, time_ms, away ? gap_ms : 0);
    advance(state, run);
    if (isJudged(run)) timeJudging(run, time_ms, 0);
  }
}

/** The part of the judging time in which a worker that is still here, but late, is waited for. */
const GRACE_PART = 4;
/** The part of the judging time, on top of it, in which sealed verdicts are shown: that is one message each. */
const REVEAL_PART = 2;

/**
 * Judging and revealing are timed from the first tick in them: the one before the work that ended the round may be seconds
 * old, and validators would have that much less. `away_ms` is time that nobody had.
 */
function timeJudging(run: RunState, time_ms: number, away_ms: number): void {
  if (run.phase === 'revealing') {
    if (run.reveal_deadline_ms > 0) run.reveal_deadline_ms += away_ms;
    else run.reveal_deadline_ms = time_ms + Math.ceil(run.spec.judging_ms / REVEAL_PART);
    return;
  }
  if (run.grace_deadline_ms > 0) run.grace_deadline_ms += away_ms;
  else run.grace_deadline_ms = time_ms + Math.floor(run.spec.judging_ms / GRACE_PART);
  if (run.draw === null) return;
  if (run.judging_deadline_ms > 0) run.judging_deadline_ms += away_ms;
  else run.judging_deadline_ms = time_ms + run.spec.judging_ms;
}

/** From here on there is only the grace for those who are late. */
export function endWork(run: RunState): void {
  run.phase = 'judging';
  run.grace_deadline_ms = 0;
  run.judging_deadline_ms = 0;
}

/** The part of the judging time after which judges that keep silent make room for others. */
export const SILENT_PART = 2;

/** When judges of a drawn round who have sealed nothing make room for others; 0: its judging is not timed yet. */
export const silentFrom_ms = ({ judging_deadline_ms, spec }: RunState): number =>
  Math.max(0, judging_deadline_ms - Math.floor(spec.judging_ms / SILENT_PART));

/** Moves a run along where what is in the log is enough: nobody is waited for beyond a deadline. */
export function advance(state: NetworkState, run: RunState): void {
  const { time_ms } = state;
  const { workers, handed_in } = run.attendance;
  const past = (deadline_ms: number): boolean => deadline_ms > 0 && time_ms >= deadline_ms;
  if (run.phase === 'working' && (time_ms >= run.deadline_ms || (handed_in === workers && run.submissions.size > 0))) {
    endWork(run);
  }
  if (run.phase === 'judging' && run.draw === null && run.eligible.length === 0) seatValidators(state, run);
  if (run.phase === 'judging' && (run.draw !== null || (isListComplete(run, time_ms) && !awaitsDraw(run, time_ms)))) {
    if (!run.replaced && past(silentFrom_ms(run))) {
      reseatJudges(state, run, true);
      countOwed(run);
      run.replaced = true;
    }
    if (run.attendance.seals_due === 0 || past(run.judging_deadline_ms)) {
      noteSilent(
        run,
        owing(run, ({ seals }, id) => !seals.has(id)),
      );
      run.phase = 'revealing';
      run.reveal_deadline_ms = 0;
    }
  }
  if (run.phase === 'revealing' && (run.attendance.verdicts_due === 0 || past(run.reveal_deadline_ms))) {
    noteSilent(
      run,
      owing(run, ({ seals, verdicts }, id) => seals.has(id) && !verdicts.has(id)),
    );
    if (run.appeals || !openAppeals(state, run)) run.phase = 'merging';
  }
}
