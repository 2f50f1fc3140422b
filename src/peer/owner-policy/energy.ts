// How much of a machine's energy is Potluck's: what was measured beyond an idle machine, by its part of what processors did; or what the owner stated.
import type { PowerPart, PowerReadings } from './energy-probes.ts';

/** What was done since a machine started, in milliseconds of all cores. */
export interface EnergyLook {
  readonly elapsed_ms: number;
  readonly power: PowerReadings;
  readonly own_cpu_ms: number;
  readonly busy_cpu_ms: number;
  readonly all_cpu_ms: number;
  /** Potluck's part of what a graphics processor does, 0 to 1. */
  gpuPart(index: number): number;
}

export interface StatedWatts {
  readonly watts_idle: number | null;
  readonly watts_busy: number | null;
}

/** Energy of an interval, and how it is known; `why` where nobody can say. */
export type OwnEnergy =
  | { readonly how: 'measured' | 'stated'; readonly joules: number }
  | { readonly how: 'unknown'; readonly why: string };

export interface EnergyMeter {
  /** What Potluck took since the last look; null at the first one. */
  look(now: EnergyLook, stated: StatedWatts): OwnEnergy | null;
}

const LIMITS = {
  longest_ms: 120_000, // a counter may have begun again more than once in a longer time, and a machine that slept took next to nothing
  least_ms: 100,
  rests_part: 0.02, // of a core: what watching takes
} as const;

interface PartWatts {
  readonly part: PowerPart;
  readonly name: string;
  readonly watts: number;
}

/** Measures from look to look, some seconds apart. */
export function openEnergyMeter(): EnergyMeter {
  let before: EnergyLook | null = null;
  /** The least that each part took while Potluck rested. Until there is one, what others' idleness takes is Potluck's as well. */
  const least = new Map<string, number>();

  return {
    look(now, stated) {
      const first = before;
      before = now;
      if (!first) return null;
      const passed_ms = now.elapsed_ms - first.elapsed_ms;
      if (passed_ms < LIMITS.least_ms || passed_ms > LIMITS.longest_ms)
        return { how: 'unknown', why: 'the machine slept, or nobody looked for minutes' };
      const busy_ms = Math.max(0, now.busy_cpu_ms - first.busy_cpu_ms);
      // Processes that ended take their time with them.
      const own_ms = Math.min(busy_ms, Math.max(0, now.own_cpu_ms - first.own_cpu_ms));
      const parts = wattsBetween(first, now, passed_ms);
      if (parts.length > 0) {
        const cpu_part = busy_ms > 0 ? own_ms / busy_ms : 0;
        const watts = parts.map(({ part, name, watts: all }) => {
          const own_part = typeof part === 'number' ? now.gpuPart(part) : cpu_part;
          const rests = typeof part === 'number' ? own_part === 0 : own_ms < LIMITS.rests_part * passed_ms;
          if (rests) least.set(name, Math.min(all, least.get(name) ?? all));
          const idle = part === 'machine' ? stated.watts_idle : null;
          return Math.max(0, all - (idle ?? least.get(name) ?? 0)) * own_part;
        });
        return { how: 'measured', joules: (sumOf(watts) * passed_ms) / 1000 };
      }
      const all_ms = now.all_cpu_ms - first.all_cpu_ms;
      const { watts_busy, watts_idle } = stated;
      if (watts_busy === null || all_ms <= 0) return { how: 'unknown', why: whyNot(now.power) };
      const joules = ((watts_busy - (watts_idle ?? 0)) * (own_ms / all_ms) * passed_ms) / 1000;
      return { how: 'stated', joules };
    },
  };
}

/** A battery that discharges tells of the whole machine. Otherwise the processor has to be measured: a card alone is not what work takes. */
function wattsBetween(first: EnergyLook, now: EnergyLook, passed_ms: number): PartWatts[] {
  const known = now.power.flatMap(({ part, name, reading }): PartWatts[] => {
    if ('watts' in reading) return [{ part, name, watts: reading.watts }];
    const earlier = first.power.find((one) => one.name === name)?.reading;
    if (!('joules' in reading) || !earlier || !('joules' in earlier)) return [];
    const grown = reading.joules - earlier.joules;
    const joules = grown >= 0 ? grown : grown + reading.wraps_joules;
    return joules >= 0 ? [{ part, name, watts: joules / (passed_ms / 1000) }] : [];
  });
  const machine = known.filter(({ part }) => part === 'machine');
  if (machine.length > 0) return machine;
  return known.some(({ part }) => part === 'processor') ? known : [];
}

/** Why nothing is measured, in a sentence that says what the owner can do. */
export function whyNot(power: PowerReadings): string {
  const whys = power.flatMap(({ reading }) => ('none' in reading ? [reading.none] : []));
  const list = whys.length > 0 ? ` (${[...new Set(whys)].slice(0, 3).join('; ')})` : '';
  return `nothing here measures it${list}: set watts_busy and watts_idle`;
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0);
