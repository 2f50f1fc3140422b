// Rounds without accepted work: each is opened again after a longer wait, so that a run that nobody can serve does not fill the log.
import type { Idle, RunState, Submission } from '../state.ts';

/** The wait before the third opening in a row, in the log's time. The second comes at once, because a single round may fail for many reasons. */
const FIRST_WAIT_MS = 2000;
/** Each wait is twice the one before, up to this. When a device joins that could serve the run, the wait ends. */
const LONGEST_WAIT_MS = 300_000;

export const notIdle = (): Idle => ({ rounds: 0, opens_ms: 0, submissions: 0, code: '' });

/** The wait after so many rounds in a row without accepted work. */
export function waitAfter(idle_rounds: number): number {
  if (idle_rounds < 2) return 0;
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(idle_rounds - 2, 20));
}

/** A round has ended without accepted work; its submissions are still in the state. */
export function noteIdle(run: RunState, time_ms: number): void {
  const rounds = run.idle.rounds + 1;
  const submissions = run.submissions.size;
  run.idle = { rounds, opens_ms: time_ms + waitAfter(rounds), submissions, code: commonCode(run.submissions.values()) };
}

function commonCode(submissions: Iterable<Submission>): string {
  const counts = new Map<string, number>();
  for (const { verdicts } of submissions) {
    for (const { accepted, code } of verdicts.values()) if (!accepted) counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  return [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))[0]?.[0] ?? '';
}
