// Deadlines: a round is over when everybody present has done what is asked, or when its time has passed by the ticks.
import { type Books, present, type RunBook } from './books.ts';
import { judgeAgain } from './who-is-appealed.ts';
import { appointAgain, debtors, isAllIn, keptSilent, seat, waitsForDraw } from './who-judges.ts';

/** A longer gap between ticks means that the hub was down, so nobody was late in it. */
const AWAY_MS = 15_000;

export function tick(books: Books, time_ms: number): void {
  const gap_ms = time_ms - books.time_ms;
  const away_ms = books.time_ms > 0 && gap_ms > AWAY_MS ? gap_ms : 0;
  books.time_ms = time_ms;
  for (const run of books.runs.values()) {
    const isEmpty = ![...run.peers.values()].some((peer) => peer.present);
    run.empty_ms = isEmpty ? run.empty_ms || time_ms : 0;
    if (run.phase === 'working') run.deadline_ms += away_ms;
    else if (run.phase === 'judging') {
      if (run.grace_ms > 0) run.grace_ms += away_ms;
      if (run.judging_ms > 0) run.judging_ms += away_ms;
    } else if (run.phase === 'revealing' && run.reveal_ms > 0) run.reveal_ms += away_ms;
    startClock(run, time_ms);
    goOn(books, run);
    startClock(run, time_ms);
  }
}

/**
 * The grace for late work, judging and revealing are timed from the first tick in them: a quarter, all and half of the judging time.
 * Judging begins when its judges are drawn.
 */
function startClock(run: RunBook, time_ms: number): void {
  const { judging_ms } = run.spec;
  if (run.phase === 'judging') {
    if (run.grace_ms === 0) run.grace_ms = time_ms + Math.floor(judging_ms / 4);
    if (run.judging_ms === 0 && run.draw !== null) run.judging_ms = time_ms + judging_ms;
  }
  if (run.phase === 'revealing' && run.reveal_ms === 0) run.reveal_ms = time_ms + Math.ceil(judging_ms / 2);
}

export function endWork(run: RunBook): void {
  Object.assign(run, { phase: 'judging', grace_ms: 0, judging_ms: 0 });
}

/** Recounts who is waited for. */
export function attendance(run: RunBook): {
  workers: number;
  handed_in: number;
  seals_due: number;
  verdicts_due: number;
} {
  const workers = present(run, 'worker');
  const validators = new Set(present(run, 'validator'));
  const works = [...run.works.values()];
  const judging = works.flatMap(({ judges, seals, verdicts }) =>
    judges.filter((id) => validators.has(id)).map((id) => ({ sealed: seals.has(id), shown: verdicts.has(id) })),
  );
  return {
    workers: workers.length,
    handed_in: workers.filter((id) => works.some(({ worker }) => worker === id)).length,
    seals_due: judging.filter(({ sealed }) => !sealed).length,
    verdicts_due: judging.filter(({ sealed, shown }) => sealed && !shown).length,
  };
}

/** From work to judging, to revealing, once more in an appeal, to the merge, as far as nobody is waited for. */
export function goOn(books: Books, run: RunBook): void {
  const { workers, handed_in } = attendance(run);
  const past = (deadline_ms: number): boolean => deadline_ms > 0 && books.time_ms >= deadline_ms;
  if (run.phase === 'working' && (past(run.deadline_ms) || (workers === handed_in && run.works.size > 0))) endWork(run);
  // Where nobody may judge yet, a validator that comes now may.
  if (run.phase === 'judging' && run.draw === null && run.eligible.length === 0) seat(books, run);
  const begun = run.draw !== null || (isAllIn(books, run) && !waitsForDraw(books, run));
  if (run.phase === 'judging' && begun) {
    const half = run.judging_ms - Math.floor(run.spec.judging_ms / 2);
    if (!run.replaced && past(half)) {
      appointAgain(books, run, true);
      run.replaced = true;
    }
    if (attendance(run).seals_due === 0 || past(run.judging_ms)) {
      keptSilent(run, debtors(run, 'judging'));
      Object.assign(run, { phase: 'revealing', reveal_ms: 0 });
    }
  }
  if (run.phase === 'revealing' && (attendance(run).verdicts_due === 0 || past(run.reveal_ms))) {
    keptSilent(run, debtors(run, 'revealing'));
    if (run.appeals || !judgeAgain(books, run)) run.phase = 'merging';
  }
}
