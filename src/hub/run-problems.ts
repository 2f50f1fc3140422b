// What keeps a run from getting on, in words for people: read from the core's state, so that a restart loses nothing.

import { watchOf } from '../core/rounds/worse-models.ts';
import type { RunState } from '../core/state.ts';
import { trainsOnText } from '../games/text-training.ts';
import { formatDuration } from '../protocol/duration.ts';
import { inUnit, valueText } from '../protocol/measures.ts';
import type { Condition } from './condition.ts';
import { type LogClock, skewOf } from './log-clock.ts';

/** Fewer rounds in a row without accepted work are not worth mentioning: a device may have left, a connection may have broken. */
const IDLE_ROUNDS = 3;

/** null where nothing keeps it. */
export function runProblem(run: RunState, time: Pick<LogClock, 'until_ms'>): string | null {
  // Not a problem for whoever knows; for whoever looks here it is the one thing to know.
  if (run.moved)
    return `it goes on at the hub at ${run.moved.url}, and devices follow by themselves, but for browser tabs`;
  if (run.phase === 'finished') return null;
  const id = run.id.slice(0, 12);
  if (run.halted === 'models-get-worse') {
    const [{ name, words }] = run.spec.metrics;
    const { best, last } = watchOf(run) ?? { best: 0, last: 0 };
    const [then, now] = [best, run.evaluation?.measured[name] ?? last].map((value) =>
      valueText(name, inUnit(name, value)),
    );
    return `the hub has paused the run because it gets worse instead of better: its ${words} was ${then} at best and is ${now} now${trainsOnText(run.spec.game) ? ', so the learning rate may be too high' : ''}; its owner can end it (potluck run end ${id}) or let it go on (potluck run resume ${id})`;
  }
  const { rounds, submissions, code, opens_ms } = run.idle;
  if (rounds < IDLE_ROUNDS || run.phase === 'paused') return null;
  const waits_ms = run.phase === 'gathering' ? time.until_ms(opens_ms) : 0;
  const again = waits_ms >= 1000 ? `; it is opened again in ${formatDuration(waits_ms)}` : '';
  const times = `${rounds} times in a row`;
  if (submissions > 0) {
    const said = code ? `refused ("${code}")` : 'not accepted';
    return `round ${run.round} has brought nothing ${times}: the last time all of the work was ${said}${again}`;
  }
  const length = formatDuration(run.spec.round_ms);
  return `round ${run.round} has brought nothing ${times}: nobody handed anything in within its ${length}, so the devices here may be too slow for it${again}`;
}

/** Everything that keeps a run from going on, for people: problems of the hub, of the run, of the clock; null where there are none. */
export function problemsOf(run: RunState, hub: Condition, own: string | null, ahead_ms: number): string | null {
  const of_hub = hub.state === 'ready' || hub.state === 'opening' ? null : hub.reason;
  const skew = run.phase === 'finished' ? null : skewOf(ahead_ms);
  return [of_hub, own, skew].filter(Boolean).join('; ') || null;
}
