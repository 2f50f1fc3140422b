// Others' part of the processor: what all cores did, without what Potluck itself took, over a third of a second.
import { type Clock, sleep } from '../../protocol/clock.ts';
import type { Unreadable } from './decide.ts';
import type { DeviceSettings } from './settings.ts';
import type { Signal } from './signals.ts';

/** Since the machine started: of all cores together, in milliseconds. */
export interface CpuTimes {
  readonly busy_ms: number;
  readonly all_ms: number;
  /** What Potluck's processes took. */
  readonly own_ms: number;
}

/** How long others' load must last to count, by what is set; null: it counts for nothing. */
export function foreignLoadMs(settings: DeviceSettings | Unreadable): number | null {
  if ('unreadable' in settings) return null; // the device pauses
  const { foreign_cpu_percent_idle: idle, foreign_cpu_percent_in_use: inUse, foreign_load_s } = settings;
  return idle === null && inUse === null ? null : foreign_load_s * 1000;
}

/** How often others' load is looked at, by how long it must last to count. */
export function loadEvery(foreign_load_ms: number | null): number {
  if (foreign_load_ms === null) return 5000;
  return foreign_load_ms < 1000 ? 250 : 500; // who wants to be obeyed at once is, within a second
}

/** Shorter, and the system's ticks of 10 ms are too coarse; longer, and the owner waits. */
const WINDOW_MS = 300;

/** Each reading gives the load since the one that was made so long before; the first waits so long. */
export function openLoadMeter(read: () => CpuTimes, clock: Clock): () => Promise<Signal<number>> {
  const seen: { readonly at_ms: number; readonly times: CpuTimes }[] = [];
  return async () => {
    if (seen.length === 0) {
      seen.push({ at_ms: clock.elapsed_ms(), times: read() });
      await sleep(clock, WINDOW_MS);
    }
    const now = { at_ms: clock.elapsed_ms(), times: read() };
    seen.push(now);
    while (seen.length > 1 && now.at_ms - seen[1].at_ms >= WINDOW_MS) seen.shift();
    const [first] = seen;
    const all_ms = now.times.all_ms - first.times.all_ms;
    if (all_ms <= 0) return { unknown: 'the counters of the processor stand still' };
    // Own processes that ended since are not counted any more: then the difference is too small, never negative.
    const own_ms = Math.max(0, now.times.own_ms - first.times.own_ms);
    const foreign_ms = now.times.busy_ms - first.times.busy_ms - own_ms;
    return { known: Math.min(100, Math.max(0, (100 * foreign_ms) / all_ms)) };
  };
}
