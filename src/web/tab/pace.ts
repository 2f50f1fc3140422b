// How fast a tab works, measured step by step, and what slows it down: a hidden tab, a busy page, a browser that froze it.
import { openRest } from '../../peer/policy.ts';
import type { Clock } from '../../protocol/clock.ts';
import type { Surroundings } from './messages.ts';
import type { Slowdown } from './state.ts';

const LIMITS = {
  window_ms: 2000, // speeds are measured over at least this long
  memory: 0.7, // weight of the old speed in the new one
  throttled_below: 0.7, // of the speed while visible: smaller differences are normal
  busy_above_ms: 200, // a page that answers this late feels broken
  busy_until_ms: 80,
  busy_duty: 0.5, // the part of the time that a tab with a busy page works
  heartbeat_ms: 1000,
  frozen_after_ms: 10_000, // a Worker's timer is this late only if the whole tab was frozen
  frozen_shown_ms: 60_000,
} as const;

export interface Pace {
  /** Tell it what the page sees. */
  look(now: Surroundings): void;
  /** Use this as a device's `progress`: it measures, and rests while the page is busy, then for as long as something else holds it. */
  progress(report: { readonly amount: number }, held?: () => Promise<void>): Promise<void>;
  /** Use these before an answer to a caller and after each token: they rest as `progress` does. */
  rested(): Promise<void>;
  answered(): Promise<void>;
  readonly slowdowns: readonly Slowdown[];
  close(): void;
}

/** Measures on a clock; calls `onChange` when the cause of a slowdown has changed. */
export function watchPace(clock: Clock, onChange: () => void): Pace {
  let hidden = false;
  let lag_ms = 0;
  let busy = false;
  const rest = openRest(clock);
  /** The part of the time, as the owner has set it. */
  let duty = 1;
  let frozen: { readonly frozen_ms: number; readonly at_ms: number } | null = null;
  /** Amounts a second, as remembered from when the tab was visible, and as measured while it is hidden. */
  let inSight = 0;
  let outOfSight = 0;
  let window = { from_ms: clock.elapsed_ms(), amount: 0 };
  let last = { amount: 0, resumed_ms: clock.elapsed_ms() };
  /** When an answer began or its last rest ended. */
  let answering_ms = clock.elapsed_ms();
  const restAfter = async (since_ms: number): Promise<void> => {
    const part = busy ? Math.min(duty, LIMITS.busy_duty) : duty;
    if (part < 1) rest.owe((clock.elapsed_ms() - since_ms) * (1 / part - 1));
    await rest.paid();
  };

  const remember = (old: number, fresh: number): number =>
    old === 0 ? fresh : LIMITS.memory * old + (1 - LIMITS.memory) * fresh;

  const slowdowns = (): Slowdown[] => {
    const found: Slowdown[] = [];
    if (hidden && outOfSight > 0 && outOfSight < LIMITS.throttled_below * inSight) {
      found.push({ kind: 'throttled-hidden', amount_per_second: outOfSight, in_sight: inSight });
    }
    if (busy) found.push({ kind: 'page-busy', lag_ms });
    if (frozen && clock.elapsed_ms() - frozen.at_ms < LIMITS.frozen_shown_ms) {
      found.push({ kind: 'was-frozen', frozen_ms: frozen.frozen_ms });
    }
    return found;
  };
  let shown: readonly Slowdown[] = [];
  const show = (): void => {
    const now = slowdowns();
    const changed = now.map(({ kind }) => kind).join() !== shown.map(({ kind }) => kind).join();
    shown = now;
    if (changed) onChange();
  };

  let beaten_ms = clock.elapsed_ms();
  let heartbeat: unknown;
  const beat = (): void => {
    const now_ms = clock.elapsed_ms();
    const late_ms = now_ms - beaten_ms - LIMITS.heartbeat_ms;
    if (late_ms > LIMITS.frozen_after_ms) frozen = { frozen_ms: late_ms, at_ms: now_ms };
    beaten_ms = now_ms;
    show();
    heartbeat = clock.setTimeout(beat, LIMITS.heartbeat_ms);
  };
  heartbeat = clock.setTimeout(beat, LIMITS.heartbeat_ms);

  return {
    look(now) {
      lag_ms = now.lag_ms;
      duty = now.duty_percent / 100;
      busy = lag_ms > (busy ? LIMITS.busy_until_ms : LIMITS.busy_above_ms);
      if (hidden !== now.hidden) {
        hidden = now.hidden;
        outOfSight = 0;
        window = { from_ms: clock.elapsed_ms(), amount: 0 };
      }
      show();
    },
    async progress({ amount }, held) {
      const now_ms = clock.elapsed_ms();
      // The first report of a round starts the count, because the time before it was not work.
      if (amount <= last.amount) {
        last = { amount: 0, resumed_ms: now_ms };
        window = { from_ms: now_ms, amount: 0 };
      } else window.amount += amount - last.amount;
      if (now_ms - window.from_ms >= LIMITS.window_ms) {
        const speed = (window.amount * 1000) / (now_ms - window.from_ms);
        if (hidden) outOfSight = remember(outOfSight, speed);
        else inSight = remember(inSight, speed);
        window = { from_ms: now_ms, amount: 0 };
        show();
      }
      await restAfter(last.resumed_ms);
      await held?.();
      last = { amount, resumed_ms: clock.elapsed_ms() };
    },
    async rested() {
      await rest.paid();
      answering_ms = clock.elapsed_ms();
    },
    async answered() {
      await restAfter(answering_ms);
      answering_ms = clock.elapsed_ms();
    },
    get slowdowns() {
      return shown;
    },
    close: () => clock.clearTimeout(heartbeat),
  };
}
