// Deadlines: a round is over when everybody who is here has done what is asked, or when the time for it is past. Time is that of ticks.
import { type Books, present, type RunBook } from './books.ts';

/** A longer gap between ticks is time in which the hub was away: nobody was late in it. */
const AWAY_MS = 15_000;

export function tick(books: Books, time_ms: number): void {
  const gap_ms = time_ms - books.time_ms;
  const away_ms = books.time_ms > 0 && gap_ms > AWAY_MS ? gap_ms : 0;
  books.time_ms = time_ms;
  for (const run of books.runs.values()) {
    if (run.phase === 'working') run.deadline_ms += away_ms;
    else if (run.phase === 'judging' && run.judging_ms > 0) {
      run.grace_ms += away_ms;
      run.judging_ms += away_ms;
    } else if (run.phase === 'revealing' && run.reveal_ms > 0) run.reveal_ms += away_ms;
    startClock(run, time_ms);
    goOn(books, run);
    startClock(run, time_ms);
  }
}

/** Judging and revealing are timed from the first tick in them. A quarter of the judging is the grace for late work, half of it is for showing. */
function startClock(run: RunBook, time_ms: number): void {
  const { judging_ms } = run.spec;
  if (run.phase === 'judging' && run.judging_ms === 0) {
    run.grace_ms = time_ms + Math.floor(judging_ms / 4);
    run.judging_ms = time_ms + judging_ms;
  }
  if (run.phase === 'revealing' && run.reveal_ms === 0) run.reveal_ms = time_ms + Math.ceil(judging_ms / 2);
}

export function endWork(run: RunBook): void {
  Object.assign(run, { phase: 'judging', grace_ms: 0, judging_ms: 0 });
}

/** Who is waited for, counted anew. */
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

/** From work to judging, to showing, to the merge, as far as nobody is waited for. */
export function goOn(books: Books, run: RunBook): void {
  const { workers, handed_in, seals_due, verdicts_due } = attendance(run);
  const allIn = workers === handed_in;
  const past = (deadline_ms: number): boolean => deadline_ms > 0 && books.time_ms >= deadline_ms;
  if (run.phase === 'working' && (past(run.deadline_ms) || (allIn && run.works.size > 0))) endWork(run);
  if (run.phase === 'judging' && (allIn || past(run.grace_ms)) && (seals_due === 0 || past(run.judging_ms))) {
    Object.assign(run, { phase: 'revealing', reveal_ms: 0 });
  }
  if (run.phase === 'revealing' && (verdicts_due === 0 || past(run.reveal_ms))) run.phase = 'merging';
}
