// The time of the log, which measures deadlines. It advances by elapsed time, whatever happens to the machine's clock.
//
// When a hub starts, the log's time is that of the machine's clock, unless the log is ahead of it already, or so far behind that a wrong clock
// is more likely than an absent hub. From then on only elapsed time moves it. Where it differs from the machine's clock (because somebody
// has set the clock), it runs a tenth slower or faster until they agree. It never goes back and never jumps.
import { CLOCK_TOLERANCE_MS, type Clock } from '../protocol/clock.ts';
import { formatDuration } from '../protocol/duration.ts';
import type { Sequencer } from './sequencer.ts';

/** By which part the log's time runs slower or faster: it makes up an hour in ten, and rounds hardly change their length. */
const CORRECTED_PART = 0.1;
/** A difference that does not matter. */
const ALIKE_MS = 1000;
/** After a longer gap the clock is more likely wrong than the hub was absent; following it could put the log ahead for years. */
const MOST_AWAY_MS = 400 * 86_400_000;
/** A machine's uptime is measured in hundredths of a second, so a smaller difference is not sleep. */
const LEAST_SLEEP_MS = 5000;

export interface LogClock {
  now_ms(): number;
  /** Real milliseconds until the log's time is that; 0 where it is past. */
  until_ms(time_ms: number): number;
  /** How far the log's time is ahead of the machine's clock; negative: behind. */
  ahead_ms(): number;
  /** The opening by the machine's clock, and how far the log was behind it then, because the hub was down or idle. */
  readonly opened: { readonly at_ms: number; readonly away_ms: number };
}

/** @param last_ms the log's last tick, 0 for a log without one */
export function openLogClock(last_ms: number, clock: Clock): LogClock {
  const at_ms = clock.now_ms();
  const gap_ms = at_ms - last_ms;
  const away_ms = last_ms === 0 || gap_ms < 0 || gap_ms > MOST_AWAY_MS ? 0 : gap_ms;
  let time_ms = last_ms === 0 ? at_ms : last_ms + away_ms;
  let seen_ms = clock.elapsed_ms();
  let awake_ms = (clock.uptime_ms?.() ?? 0) - seen_ms;
  let rate = 1;

  const now_ms = (): number => {
    const passed_ms = Math.max(0, clock.elapsed_ms() - seen_ms);
    seen_ms += passed_ms;
    // Elapsed time may stand still while a machine sleeps; its uptime does not.
    const slept_ms = clock.uptime_ms ? clock.uptime_ms() - seen_ms - awake_ms : 0;
    if (slept_ms > LEAST_SLEEP_MS) {
      awake_ms += slept_ms;
      time_ms += slept_ms;
    }
    time_ms += passed_ms;
    const ahead_ms = time_ms - clock.now_ms();
    const most_ms = passed_ms * CORRECTED_PART;
    const corrected_ms = Math.abs(ahead_ms) > ALIKE_MS ? Math.max(-most_ms, Math.min(most_ms, -ahead_ms)) : 0;
    time_ms += corrected_ms;
    rate = Math.abs(ahead_ms) > ALIKE_MS ? 1 - Math.sign(ahead_ms) * CORRECTED_PART : 1;
    return time_ms;
  };

  return {
    now_ms,
    until_ms: (wanted_ms) => Math.max(0, (wanted_ms - now_ms()) / rate),
    ahead_ms: () => now_ms() - clock.now_ms(),
    opened: { at_ms, away_ms },
  };
}

/** Writes the log's time into the log, later each time, so that no two ticks are the same event. */
export async function writeTick(
  { state, write }: Pick<Sequencer, 'state' | 'write'>,
  time: Pick<LogClock, 'now_ms'>,
): Promise<void> {
  const time_ms = (): number => Math.max(Math.floor(time.now_ms()), state.time_ms + 1);
  await write(() => ({ type: 'tick', version: 1, time_ms: time_ms() }));
}

/** A warning for a log's time that differs from the machine's; null where it does not. */
export function skewOf(ahead_ms: number): string | null {
  if (Math.abs(ahead_ms) <= CLOCK_TOLERANCE_MS) return null;
  const [where, how] = ahead_ms > 0 ? ['ahead of', 'slower'] : ['behind', 'faster'];
  const until = formatDuration(Math.abs(ahead_ms) / CORRECTED_PART);
  return `the log's time is ${formatDuration(Math.abs(ahead_ms))} ${where} this machine's clock, which was set or is wrong: rounds go on, and the log's time runs a tenth ${how} until they agree, in about ${until}`;
}
