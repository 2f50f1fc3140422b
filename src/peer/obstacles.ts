// Why a device cannot get on at the moment: a sentence for its owner, and for the run's owner as long as it lasts.
import type { PeerRole } from '../core/events/peer-joined.ts';
import type { Obstacle, RunView } from '../protocol/messages.ts';

/** How much of a round a device must have seen before it is called too slow: one that came late gets a whole round next. */
const WHOLE_PART = 0.7;
/** A round that ended earlier than this was ended by somebody else: a device stops its own work before the end, to submit it. */
const CUT_SHORT_PART = 0.5;
/** The first two sentences about one obstacle are reported, the second with better figures; then one after each of these times. */
const TOLD_AT_ONCE = 2;
const TOLD_AGAIN_MS = 600_000;

/** What keeps everybody of this role from working, or keeps the work from counting. */
export function obstacleOf({ phase, round, seats }: RunView, role: PeerRole): Obstacle | null {
  if (phase === 'paused') return { code: 'run-paused', message: "the run's owner has paused it; it goes on by itself" };
  if (!seats) return null;
  const { workers, workers_needed, validators } = seats;
  if (phase === 'gathering' && workers < workers_needed) {
    const here = `${workers} ${workers === 1 ? 'is' : 'are'} here`;
    return {
      code: 'too-few-workers',
      message: `the next round waits for ${workers_needed} ${workers_needed === 1 ? 'worker' : 'workers'}, ${here}`,
    };
  }
  if (role === 'worker' && validators === 0 && (round > 0 || phase !== 'gathering')) {
    const message = 'no validator takes part: work is merged into the model, but not credited to anybody';
    return { code: 'no-validator', message };
  }
  return null;
}

/** The course of a round on one device. Times are the device's own, since it heard of the round. */
export interface RoundWatch {
  /** The model is there, and the work begins. */
  begun(): void;
  step(): void;
  /** The round is over, or was opened again, and this device has not submitted. Returns what kept it from that, if it was the device. */
  missed(): Obstacle | null;
}

/** Watches rounds on a device; the length of a round is the longest remaining time that was ever seen. */
export function roundWatcher(elapsed_ms: () => number): (view: RunView) => RoundWatch {
  let round_ms = 0;
  return ({ round, remaining_ms: left_ms }) => {
    round_ms = Math.max(round_ms, left_ms);
    const whole_ms = round_ms;
    const heard_ms = elapsed_ms();
    let begun_ms: number | null = null;
    let last_ms = 0;
    let steps = 0;
    return {
      begun() {
        begun_ms = last_ms = elapsed_ms();
      },
      step() {
        steps++;
        const now_ms = elapsed_ms();
        if (steps === 1) last_ms = now_ms;
      },
      missed() {
        const now_ms = elapsed_ms();
        const had_ms = now_ms - heard_ms;
        const cutShort = had_ms < CUT_SHORT_PART * left_ms;
        if (cutShort || (left_ms < WHOLE_PART * whole_ms && had_ms <= whole_ms)) return null;
        if (begun_ms === null) {
          const message = `round ${round} went by while its model was fetched and worked out: ${seconds(had_ms)} so far, a round has ${seconds(whole_ms)}`;
          return { code: 'too-slow', message };
        }
        const step_ms = (steps > 0 ? last_ms : now_ms) - begun_ms;
        const took = steps > 0 ? `takes ${seconds(step_ms)}` : `takes more than ${seconds(step_ms)}`;
        return {
          code: 'too-slow',
          message: `this device is too slow for the rounds of this run: a step ${took} here, a round has ${seconds(whole_ms)}`,
        };
      },
    };
  };
}

/** 1234 → "1.2 s". */
function seconds(time_ms: number): string {
  return `${(time_ms / 1000).toFixed(time_ms < 10_000 ? 1 : 0)} s`;
}

/** Reports changes of an obstacle: another one at once, the same with other figures after a while, and its end. */
export function obstacleTeller(
  elapsed_ms: () => number,
  tell: (obstacle: Obstacle | null) => void,
): (obstacle: Obstacle | null) => void {
  let told = { code: '', message: '', times: 0, at_ms: 0 };
  return (obstacle) => {
    const { code, message } = obstacle ?? { code: '', message: '' };
    const same = code === told.code;
    if (same && message === told.message) return;
    if (same && told.times >= TOLD_AT_ONCE && elapsed_ms() - told.at_ms < TOLD_AGAIN_MS) return;
    told = { code, message, times: same ? told.times + 1 : 1, at_ms: elapsed_ms() };
    tell(obstacle);
  };
}
