// What a page can see of the device it runs on: whether it is in sight, battery, kind of connection, and how late its own timers are.
import { NO_MEMORY } from '../../peer/owner-policy/decide.ts';
import { readLimits, watchLimits } from './limits.ts';
import type { Surroundings } from './messages.ts';
import { tabPauses } from './rules.ts';
import type { PauseReason } from './state.ts';

/** Whether this browser says if the device charges. */
export const knowsCharging = (): boolean => 'getBattery' in navigator;

const LIMITS = {
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
  const overruled = new Set<PauseReason>(although);
  let sees = { battery: null as { charging: boolean; level: number } | null, metered: false, paused: false };
  let memory = NO_MEMORY;
  let lag_ms = 0;

  const tell = (): void => {
    if (signal.aborted) return;
    const limits = readLimits();
    const decided = tabPauses(sees, limits, Date.now(), memory);
    memory = decided.memory;
    const pauses = decided.pauses.filter((reason) => !overruled.has(reason));
    const { duty_percent } = limits;
    onChange({ hidden: document.visibilityState === 'hidden', pauses, lag_ms, duty_percent });
  };
  const see = (now: Partial<typeof sees>): void => {
    sees = { ...sees, ...now };
    tell();
  };

  const lookAtConnection = (): void =>
    see({ metered: connection?.saveData === true || connection?.type === 'cellular' });
  connection?.addEventListener('change', lookAtConnection, { signal });
  lookAtConnection();
  signal.addEventListener('abort', watchLimits(tell));

  getBattery
    ?.call(navigator)
    .then((battery) => {
      const look = (): void => see({ battery: { charging: battery.charging, level: battery.level } });
      for (const event of ['chargingchange', 'levelchange']) battery.addEventListener(event, look, { signal });
      look();
    })
    .catch(() => {}); // a browser that does not say is taken to have power

  document.addEventListener('visibilitychange', tell, { signal });
  let expected_ms = performance.now() + LIMITS.look_every_ms;
  const timer = setInterval(() => {
    const late_ms = Math.max(0, performance.now() - expected_ms);
    expected_ms = performance.now() + LIMITS.look_every_ms;
    // Browsers slow the timers of hidden pages down on purpose: that says nothing about the device.
    lag_ms = document.visibilityState === 'hidden' ? 0 : LIMITS.lag_memory * lag_ms + (1 - LIMITS.lag_memory) * late_ms;
    tell();
  }, LIMITS.look_every_ms);
  signal.addEventListener('abort', () => clearInterval(timer));

  return {
    setPaused: (paused) => see({ paused }),
    overrule(reason) {
      overruled.add(reason);
      tell();
    },
    close: () => closing.abort(),
  };
}
