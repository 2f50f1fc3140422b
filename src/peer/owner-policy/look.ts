// What one evaluation of the owner's rules goes through: what is seen, what was in force before, and which pauses it finds.
import { type Held, type Latch, latch, NOT_HELD } from './hysteresis.ts';
import type { Reason } from './reasons.ts';
import type { DeviceSettings } from './settings.ts';
import type { Signal, SignalName, Signals } from './signals.ts';

export interface Look {
  readonly signals: Signals;
  readonly settings: DeviceSettings;
  readonly elapsed_ms: number;
  readonly before: Readonly<Record<string, Held>>;
  /** What is to be remembered. */
  readonly held: Record<string, Held>;
  readonly pauses: Reason[];
}

/** What stays in force where nothing is seen of it now; what was about to change begins anew. */
export function carriedOver(held: Readonly<Record<string, Held>>): Record<string, Held> {
  const active = Object.entries(held).filter(([, one]) => one.active);
  return Object.fromEntries(active.map(([name]) => [name, { active: true, changing_ms: null }]));
}

/** The value, or null where there is nothing to see. Where a rule needs what cannot be told, the device pauses. */
export function seen<T>({ pauses }: Look, name: SignalName, signal: Signal<T>, needed: boolean): T | null {
  if ('known' in signal) return signal.known;
  if ('unknown' in signal && needed) pauses.push(cannotTell(name, signal.unknown));
  return null;
}

const SIGNAL_WORDS: Readonly<Record<SignalName, string>> = {
  power: 'whether it has mains power',
  idle_ms: 'whether somebody uses it',
  foreign_cpu_percent: 'what other programs need',
  temperature_c: 'how hot it is',
  battery_temperature_c: 'how hot its battery is',
  memory: 'how much memory is free',
  disk_free_bytes: 'how much of the disk is free',
  metered: 'whether the network is paid by volume',
  gpus: 'what its graphics processors do',
  worth: 'whether its work is worth what it costs',
};

export const cannotTell = (name: SignalName, why: string): Reason => ({
  code: 'cannot-tell',
  message: `${SIGNAL_WORDS[name]} cannot be told: ${why}`,
});

/** Whether a condition is in force, by the latch of that name. */
export function inForce({ before, held, elapsed_ms }: Look, name: string, conditions: Latch): boolean {
  const now = latch(before[name] ?? NOT_HELD, conditions, elapsed_ms);
  if (now.active || now.changing_ms !== null) held[name] = now;
  else delete held[name];
  return now.active;
}
