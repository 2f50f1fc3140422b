// What a page can see of the device it runs on: whether it is in sight, battery, kind of connection, and how late its own timers are.
import { isWithin, readLimits, watchLimits } from './limits.ts';
import type { Surroundings } from './messages.ts';
import type { PauseReason } from './state.ts';

/** Whether this browser says if the device charges. */
export const knowsCharging = (): boolean => 'getBattery' in navigator;

const LIMITS = {
  battery_low: 0.2, // below it the owner needs the rest
  battery_enough: 0.25, // above low, so that one percent does not switch to and fro
  look_every_ms: 500,
  lag_memory: 0.8, // of the old lag in the new one: a single hiccup is forgotten within seconds
} as const;

/** The parts of the Battery Status API and the Network Information API that are used; not every browser has them. */
interface Battery extends EventTarget {
  readonly charging: boolean;
  readonly level: number;
}
interface Connection extends EventTarget {
  readonly saveData?: boolean;
  readonly type?: string;
}
type DeviceNavigator = Navigator & { getBattery?(): Promise<Battery>; readonly connection?: Connection };

export interface SurroundingsWatch {
  /** The owner's own pause. */
  setPaused(paused: boolean): void;
  /** The owner says: work although the battery is low, or the connection metered. */
  overrule(reason: PauseReason): void;
  close(): void;
}

/**
 * Calls `onChange` at once, after every change, and twice a second with the measured lag.
 * @param although reasons to pause that the owner has overruled already
 */
export function watchSurroundings(
  onChange: (now: Surroundings) => void,
  although: readonly PauseReason[] = [],
): SurroundingsWatch {
  const { connection, getBattery } = navigator as DeviceNavigator;
  const closing = new AbortController();
  const { signal } = closing;
  const reasons = new Set<PauseReason>();
  const overruled = new Set<PauseReason>(although);
  let lag_ms = 0;

  const tell = (): void => {
    if (signal.aborted) return;
    const pauses = [...reasons].filter((reason) => !overruled.has(reason));
    const { duty_percent } = readLimits();
    onChange({ hidden: document.visibilityState === 'hidden', pauses, lag_ms, duty_percent });
  };
  const hold = (reason: PauseReason, holds: boolean): void => {
    if (holds) reasons.add(reason);
    else reasons.delete(reason);
  };
  const set = (reason: PauseReason, holds: boolean): void => {
    hold(reason, holds);
    tell();
  };

  const lookAtConnection = (): void => set('metered', connection?.saveData === true || connection?.type === 'cellular');
  connection?.addEventListener('change', lookAtConnection, { signal });
  lookAtConnection();

  let charging = true;
  const lookAtLimits = (): void => {
    const { hours, only_charging } = readLimits();
    hold('hours', hours !== null && !isWithin(hours, new Date().getHours()));
    hold('not-charging', only_charging && !charging);
  };
  signal.addEventListener(
    'abort',
    watchLimits(() => {
      lookAtLimits();
      tell();
    }),
  );

  getBattery
    ?.call(navigator)
    .then((battery) => {
      const look = (): void => {
        const limit = reasons.has('battery-low') ? LIMITS.battery_enough : LIMITS.battery_low;
        charging = battery.charging;
        lookAtLimits();
        set('battery-low', !battery.charging && battery.level < limit);
      };
      for (const event of ['chargingchange', 'levelchange']) battery.addEventListener(event, look, { signal });
      look();
    })
    .catch(() => {}); // a browser that does not say is taken to have power

  document.addEventListener('visibilitychange', tell, { signal });
  lookAtLimits();
  tell();

  let expected_ms = performance.now() + LIMITS.look_every_ms;
  const timer = setInterval(() => {
    const late_ms = Math.max(0, performance.now() - expected_ms);
    expected_ms = performance.now() + LIMITS.look_every_ms;
    // Browsers slow the timers of hidden pages down on purpose: that says nothing about the device.
    lag_ms = document.visibilityState === 'hidden' ? 0 : LIMITS.lag_memory * lag_ms + (1 - LIMITS.lag_memory) * late_ms;
    lookAtLimits();
    tell();
  }, LIMITS.look_every_ms);
  signal.addEventListener('abort', () => clearInterval(timer));

  return {
    setPaused: (paused) => set('owner', paused),
    overrule(reason) {
      overruled.add(reason);
      tell();
    },
    close: () => closing.abort(),
  };
}
