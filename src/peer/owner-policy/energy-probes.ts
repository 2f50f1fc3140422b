// What tells how much power a machine takes: RAPL's counters and batteries on Linux, nvidia-smi, ioreg on macOS, WMI on Windows.
// RAPL: https://www.kernel.org/doc/html/latest/power/powercap/powercap.html. Each answers, or says in words why it cannot.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type LinuxPlace, namesIn, textOf } from './linux-files.ts';
import type { Run, Said } from './sources.ts';

/** Energy since some moment, or power at this one, of a part of the machine. `wraps_joules`: where the counter begins again from 0. */
export type PowerReading =
  | { readonly joules: number; readonly wraps_joules: number }
  | { readonly watts: number }
  | { readonly none: string };

/** `machine`: all of it, screen included; `processor`: package and memory; or one graphics processor by number. */
export type PowerPart = 'machine' | 'processor' | number;

/** What was read of each part; of one that several tell of, all. */
export type PowerReadings = readonly {
  readonly part: PowerPart;
  readonly name: string;
  readonly reading: PowerReading;
}[];

const MOST_WATTS = 5000; // more is a mistake of whoever measures

/** Linux: RAPL, batteries and nvidia-smi. */
export async function powerOfLinux(place: Pick<LinuxPlace, 'root' | 'run'>): Promise<PowerReadings> {
  const [rapl, batteries, gpus] = await Promise.all([raplOf(place), batteriesOf(place), nvidiaOf(place.run)]);
  return [...rapl, ...batteries, ...gpus];
}

/** Packages and memory, or else the whole platform where its domain is there (psys contains the packages). */
async function raplOf(place: Pick<LinuxPlace, 'root'>): Promise<PowerReadings> {
  const at = ['sys', 'class', 'powercap'];
  const zones = (await namesIn(place, ...at)).filter((name) => /^intel-rapl:\d+(:\d+)?$/.test(name)).sort();
  if (zones.length === 0) return [{ part: 'processor', name: 'RAPL', reading: { none: 'this processor has no RAPL' } }];
  const named = await Promise.all(
    zones.map(async (zone) => ({ zone, name: (await textOf(place, ...at, zone, 'name')) ?? '' })),
  );
  const whole = named.filter(({ name }) => name === 'psys');
  const counted = whole.length > 0 ? whole : named.filter(({ name }) => name.startsWith('package') || name === 'dram');
  return Promise.all(
    counted.map(async ({ zone, name }) => {
      const [energy, range] = await Promise.all([
        numberIn(join(place.root, ...at, zone, 'energy_uj')),
        numberIn(join(place.root, ...at, zone, 'max_energy_range_uj')),
      ]);
      const reading: PowerReading =
        typeof energy === 'string' || typeof range === 'string'
          ? { none: `RAPL (${name}): ${typeof energy === 'string' ? energy : range}` }
          : { joules: energy / 1e6, wraps_joules: range / 1e6 };
      return { part: 'processor' as const, name: `RAPL ${name} ${zone}`, reading };
    }),
  );
}

/** The number in a file, or why there is none. Since 2020 kernels let only root read RAPL, for what it tells of secrets (CVE-2020-8694). */
async function numberIn(path: string): Promise<number | string> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    return /^\d+$/.test(text) ? Number(text) : `expected a number, got "${text.slice(0, 20)}"`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EACCES' || code === 'EPERM' ? 'only root may read it here' : `it cannot be read (${code})`;
  }
}

/** power_now in microwatts, or current_now times voltage_now. A battery that fills up says nothing of what is used. */
async function batteriesOf(place: Pick<LinuxPlace, 'root'>): Promise<PowerReadings> {
  const at = ['sys', 'class', 'power_supply'];
  const found = await Promise.all(
    (await namesIn(place, ...at)).map(async (name): Promise<PowerReadings> => {
      const read = (file: string): Promise<string | null> => textOf(place, ...at, name, file);
      const [type, scope, status, power, current, voltage] = await Promise.all(
        ['type', 'scope', 'status', 'power_now', 'current_now', 'voltage_now'].map(read),
      );
      if (type !== 'Battery' || scope === 'Device') return [];
      const none = (why: string): PowerReadings => [
        { part: 'machine', name, reading: { none: `battery ${name}: ${why}` } },
      ];
      if (status !== 'Discharging') return none('it does not discharge');
      if (power === null && (current === null || voltage === null)) return none('it does not say what is drawn');
      // Some drivers count what goes out as negative.
      const watts = power !== null ? Number(power) / 1e6 : (Number(current) / 1e6) * (Number(voltage) / 1e6);
      return [{ part: 'machine', name: `battery ${name}`, reading: wattsWithin(Math.abs(watts), `battery ${name}`) }];
    }),
  );
  return found.flat();
}

const NVIDIA_SMI = ['--query-gpu=index,power.draw', '--format=csv,noheader,nounits'];

async function nvidiaOf(run: Run): Promise<PowerReadings> {
  return powerOfNvidia(await run('nvidia-smi', ...NVIDIA_SMI));
}

/** A line "0, 71.35" for each card; "[N/A]" or "[Not Supported]" where a card does not measure. */
export function powerOfNvidia(said: Said): PowerReadings {
  if (!('text' in said)) return [];
  return said.text
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [index, draw] = line.split(',').map((word) => word.trim());
      if (!/^\d+$/.test(index)) return [];
      const name = `graphics processor ${index}`;
      const reading = /^\d+(\.\d+)?$/.test(draw ?? '')
        ? wattsWithin(Number(draw), name)
        : { none: `${name} does not measure` };
      return [{ part: Number(index), name, reading }];
    });
}

const IOREG = ['-r', '-n', 'AppleSmartBattery', '-d', '1'];

/** macOS: the battery while it discharges. Other counters (powermetrics) are root's. */
export async function powerOfMac(run: Run): Promise<PowerReadings> {
  return [batteryOfMac(await run('ioreg', ...IOREG))];
}

/** `"Amperage" = …` in mA, a signed number that ioreg prints as one without sign; `"Voltage" = …` in mV. */
export function batteryOfMac(said: Said): PowerReadings[number] {
  const name = 'battery';
  const none = (why: string): PowerReadings[number] => ({ part: 'machine', name, reading: { none: why } });
  if (!('text' in said)) return none('there is no ioreg');
  const field = (key: string): string | null => new RegExp(`"${key}" = (-?\\d+)`).exec(said.text)?.[1] ?? null;
  const [amperage, voltage] = [field('InstantAmperage') ?? field('Amperage'), field('Voltage')];
  if (amperage === null || voltage === null)
    return none('no battery that says what is drawn; other counters are for root alone');
  const milliamperes = Number(BigInt.asIntN(64, BigInt(amperage)));
  if (milliamperes >= 0) return none('battery: it does not discharge');
  return { part: 'machine', name, reading: wattsWithin((-milliamperes * Number(voltage)) / 1e6, name) };
}

const BATTERY_STATUS =
  '@(Get-CimInstance -Namespace root/wmi -ClassName BatteryStatus -ErrorAction SilentlyContinue | Select-Object Discharging, DischargeRate) | ConvertTo-Json -Compress';

/** Windows: the battery while it discharges (WMI, BatteryStatus), and nvidia-smi. */
export async function powerOfWindows(run: Run): Promise<PowerReadings> {
  const said = await run('powershell.exe', '-NoLogo', '-NoProfile', '-NonInteractive', '-Command', BATTERY_STATUS);
  return [...batteriesOfWindows(said), ...(await nvidiaOf(run))];
}

const BatteryStatusSchema = z.object({ Discharging: z.boolean(), DischargeRate: z.number() });
const BatteryStatusesSchema = z.union([BatteryStatusSchema.transform((one) => [one]), z.array(BatteryStatusSchema)]);

/** One object or a list of them, DischargeRate in milliwatts; nothing where there is no battery. */
export function batteriesOfWindows(said: Said): PowerReadings {
  const name = 'battery';
  const none = (why: string): PowerReadings => [{ part: 'machine', name, reading: { none: why } }];
  if (!('text' in said)) return none('there is no PowerShell');
  if (said.text.trim() === '') return none('no battery, and Windows tells nothing else');
  let parsed: z.infer<typeof BatteryStatusesSchema>;
  try {
    parsed = BatteryStatusesSchema.parse(JSON.parse(said.text));
  } catch {
    return none(`PowerShell said "${said.text.slice(0, 60).trim()}"`);
  }
  const rates = parsed.filter(({ Discharging }) => Discharging).map(({ DischargeRate }) => DischargeRate);
  if (rates.length === 0) return none('battery: it does not discharge');
  const milliwatts = rates.reduce((sum, rate) => sum + rate, 0);
  return [{ part: 'machine', name, reading: wattsWithin(milliwatts / 1000, name) }];
}

function wattsWithin(watts: number, name: string): PowerReading {
  return watts >= 0 && watts <= MOST_WATTS ? { watts } : { none: `${name} says that it is ${watts} W` };
}
