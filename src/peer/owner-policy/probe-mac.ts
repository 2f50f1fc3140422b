// What macOS tells of a device: pmset(1), ioreg(8), vm_stat(1). Temperatures it tells only to root (powermetrics): there are none here.
// Written from the documented forms of these commands; not yet tried on a Mac.
import { totalmem } from 'node:os';
import type { Clock } from '../../protocol/clock.ts';
import { openLoadMeter } from './load-meter.ts';
import { nodeCpuTimes, type OwnUse } from './own-use.ts';
import { diskSource } from './probe-linux.ts';
import type { Memory, Power, Signal } from './signals.ts';
import type { Run, Said, Source } from './sources.ts';

/** `idle` is a process that starts each time: a second is as late as it may be. */
const EVERY_MS = { load: 250, idle: 750, power: 5000, memory: 10_000 } as const;

export function macSources(place: {
  readonly run: Run;
  readonly clock: Clock;
  readonly own: OwnUse;
  readonly folder: string;
}): Source[] {
  const { run, clock, own, folder } = place;
  const load = openLoadMeter(() => nodeCpuTimes(own), clock);
  return [
    {
      tells: ['foreign_cpu_percent'],
      every_ms: EVERY_MS.load,
      read: async () => ({ foreign_cpu_percent: await load() }),
    },
    {
      tells: ['idle_ms'],
      every_ms: EVERY_MS.idle,
      read: async () => ({ idle_ms: idleOfMac(await run('ioreg', '-c', 'IOHIDSystem', '-d', '4')) }),
    },
    {
      tells: ['power'],
      every_ms: EVERY_MS.power,
      read: async () => ({ power: powerOfMac(await run('pmset', '-g', 'batt')) }),
    },
    {
      tells: ['memory'],
      every_ms: EVERY_MS.memory,
      read: async () => ({ memory: memoryOfMac(await run('vm_stat'), totalmem(), own.rss_bytes()) }),
    },
    diskSource(folder),
  ];
}

const cannot = (said: Exclude<Said, { readonly text: string }>, command: string): { readonly unknown: string } => ({
  unknown: 'missing' in said ? `there is no ${command}` : said.failed,
});

/** The line `"HIDIdleTime" = 123456789` of ioreg, in nanoseconds. */
export function idleOfMac(said: Said): Signal<number> {
  if (!('text' in said)) return cannot(said, 'ioreg');
  const [, idle_ns] = /"HIDIdleTime" = (\d+)/.exec(said.text) ?? [];
  return idle_ns === undefined ? { absent: 'no keyboard or screen' } : { known: Number(idle_ns) / 1e6 };
}

/** "Now drawing from 'Battery Power'", and for each battery " -InternalBattery-0 (id=…)	81%; discharging; 4:05 remaining present: true". */
export function powerOfMac(said: Said): Signal<Power> {
  if (!('text' in said)) return cannot(said, 'pmset');
  const [, source] = /Now drawing from '([^']+)'/.exec(said.text) ?? [];
  const [, charge] = /-InternalBattery-\d+[^\n]*?\t(\d+)%/.exec(said.text) ?? [];
  if (charge === undefined && source === 'AC Power') return { absent: 'no battery' };
  if (source !== 'AC Power' && source !== 'Battery Power')
    return { unknown: `pmset said "${said.text.slice(0, 60).trim()}"` };
  const percent = charge === undefined ? null : Number(charge);
  if (percent !== null && percent > 100) return { unknown: `pmset said that the battery is ${percent}% full` };
  return { known: { on_battery: source === 'Battery Power', charge_percent: percent } };
}

/** Free, inactive, speculative and purgeable pages can be had without swapping. */
export function memoryOfMac(said: Said, total_bytes: number, own_bytes: number): Signal<Memory> {
  if (!('text' in said)) return cannot(said, 'vm_stat');
  const page_bytes = Number(/page size of (\d+) bytes/.exec(said.text)?.[1]);
  const pages = ['free', 'inactive', 'speculative', 'purgeable'].map((kind) =>
    Number(new RegExp(`^Pages ${kind}: +(\\d+)\\.`, 'm').exec(said.text)?.[1]),
  );
  const available_bytes = page_bytes * pages.reduce((sum, count) => sum + count, 0);
  if (!(available_bytes >= 0 && available_bytes <= total_bytes * 1.01))
    return { unknown: `vm_stat said "${said.text.slice(0, 60).trim()}"` };
  return { known: { total_bytes, available_bytes: Math.min(available_bytes, total_bytes), own_bytes } };
}
