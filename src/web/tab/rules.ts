// A tab by the same rules as a process (peer/owner-policy/): what its page sees and what its owner has set, as that function takes it.
import { decide, type PolicyMemory } from '../../peer/owner-policy/decide.ts';
import { DEFAULTS } from '../../peer/owner-policy/default-settings.ts';
import type { ReasonCode } from '../../peer/owner-policy/reasons.ts';
import type { DeviceSettings } from '../../peer/owner-policy/settings.ts';
import { nothingSeen, type Signals } from '../../peer/owner-policy/signals.ts';
import { parseWeekHours } from '../../peer/owner-policy/week-hours.ts';
import type { Limits } from './limits.ts';
import type { PauseReason } from './state.ts';

/** Below it the owner needs the rest. */
const LEAST_CHARGE_PERCENT = 20;

/** What a page can see of its device. */
export interface TabSees {
  /** null: a browser that does not say is taken to have power. */
  readonly battery: { readonly charging: boolean; readonly level: number } | null;
  readonly metered: boolean;
  /** The owner has pressed pause. */
  readonly paused: boolean;
}

/** The words that a tab has for what may pause it. */
const PAUSE_OF: Readonly<Partial<Record<ReasonCode, PauseReason>>> = {
  'paused-by-owner': 'owner',
  'metered-network': 'metered',
  'charge-low': 'battery-low',
  'outside-hours': 'hours',
  'on-battery': 'not-charging',
};

/** Why a tab may not work now. `memory`: what the last call gave. */
export function tabPauses(
  sees: TabSees,
  limits: Limits,
  now_ms: number,
  memory: PolicyMemory,
): { readonly pauses: readonly PauseReason[]; readonly memory: PolicyMemory } {
  // Browsers differ in whether their elapsed time goes on while the machine sleeps, so that a jump of the clock cannot be told from sleep.
  const moment = { now_ms, elapsed_ms: now_ms, cores: 1 };
  const orders = { paused: sees.paused, finish: false, snooze_left_ms: 0 };
  const { decision, memory: next } = decide(signalsOf(sees), settingsOf(limits), orders, moment, memory);
  const found = new Set(decision.do === 'pause' ? decision.reasons.map(({ code }) => PAUSE_OF[code]) : []);
  return { pauses: Object.values(PAUSE_OF).filter((pause) => found.has(pause)), memory: next };
}

function signalsOf({ battery, metered }: TabSees): Signals {
  return {
    ...nothingSeen('a page does not see it'),
    // While it charges, how full it is holds nothing up.
    ...(battery && {
      power: { known: { on_battery: !battery.charging, charge_percent: battery.charging ? 100 : battery.level * 100 } },
    }),
    metered: { known: metered },
  };
}

function settingsOf({ hours, only_charging }: Limits): DeviceSettings {
  const two = (hour: number): string => String(hour).padStart(2, '0');
  const some = hours && hours.from !== hours.to; // from 8 to 8 is the whole day
  return {
    ...DEFAULTS,
    time_zone: undefined,
    on_battery: !only_charging,
    least_charge_percent: LEAST_CHARGE_PERCENT,
    hours: some ? parseWeekHours(`${two(hours.from)}:00-${two(hours.to)}:00`) : null,
  };
}
