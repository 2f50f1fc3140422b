// What Linux tells of a device: /proc and /sys (proc(5), sysfs-class-power, sysfs-class-thermal), terminals, and a few commands where they are there.
import { statfs } from 'node:fs/promises';
import { linuxActivity } from './linux-activity.ts';
import { type LinuxPlace, namesIn, textNow, textOf } from './linux-files.ts';
import { type CpuTimes, loadEvery, openLoadMeter } from './load-meter.ts';
import type { Power, Signal, Signals } from './signals.ts';
import type { Said, Source } from './sources.ts';
import { within } from './sources.ts';

/** How often each is asked: what must be heard within a second often, what costs more or changes slowly seldom. */
const EVERY_MS = {
  activity: 500,
  memory: 2000,
  power: 2000,
  heat: 5000,
  disk: 10_000,
  network: 30_000,
} as const;

/** sysconf(_SC_CLK_TCK), which is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

export function linuxSources(place: LinuxPlace): Source[] {
  const { clock, run } = place;
  const load = openLoadMeter(() => cpuTimes(place), clock);
  return [
    {
      tells: ['foreign_cpu_percent'],
      every_ms: () => loadEvery(place.foreign_load_ms()),
      read: async () => ({ foreign_cpu_percent: await load() }),
    },
    { tells: ['idle_ms'], every_ms: EVERY_MS.activity, read: linuxActivity(place) },
    { tells: ['power', 'battery_temperature_c'], every_ms: EVERY_MS.power, read: () => powerOf(place) },
    {
      tells: ['temperature_c'],
      every_ms: EVERY_MS.heat,
      read: async () => ({ temperature_c: await temperatureOf(place) }),
    },
    { tells: ['memory'], every_ms: EVERY_MS.memory, read: async () => ({ memory: memoryOf(place) }) },
    diskSource(place.folder),
    {
      tells: ['metered'],
      every_ms: EVERY_MS.network,
      read: async () => ({ metered: meteredOf(await run('nmcli', ...NMCLI)) }),
    },
  ];
}

export const diskSource = (folder: string): Source => ({
  tells: ['disk_free_bytes'],
  every_ms: EVERY_MS.disk,
  read: async () => {
    const { bavail, bsize } = await statfs(folder);
    return { disk_free_bytes: { known: bavail * bsize } };
  },
});

/** The first line of /proc/stat, and fields 14 and 15 of /proc/PID/stat. Time that a host took from a guest is nobody's here. */
export function cpuTimes(place: Pick<LinuxPlace, 'root' | 'own_pids'>): CpuTimes {
  const [user, nice, system, idle, iowait, irq, softirq] = (
    /^cpu +([\d ]+)/.exec(textNow(place, 'proc/stat') ?? '')?.[1] ?? ''
  )
    .split(' ')
    .map(Number);
  const busy = user + nice + system + irq + softirq;
  if (!Number.isFinite(busy + idle + iowait)) throw new Error('/proc/stat is not as expected');
  let own = 0;
  for (const pid of place.own_pids()) {
    const fields =
      textNow(place, `proc/${pid}/stat`)
        ?.replace(/^.*\) /s, '')
        .split(' ') ?? [];
    own += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return { busy_ms: busy * TICK_MS, all_ms: (busy + idle + iowait) * TICK_MS, own_ms: own * TICK_MS };
}

/** https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-class-power */
async function powerOf(place: LinuxPlace): Promise<Pick<Signals, 'power' | 'battery_temperature_c'>> {
  const at = ['sys', 'class', 'power_supply'];
  const supplies = await Promise.all(
    (await namesIn(place, ...at)).map(async (name) => {
      const one = (file: string): Promise<string | null> => textOf(place, ...at, name, file);
      const [type, scope, online, status, capacity, temp, present] = await Promise.all(
        ['type', 'scope', 'online', 'status', 'capacity', 'temp', 'present'].map(one),
      );
      return { type, scope, online, status, capacity, temp, present };
    }),
  );
  // A mouse has a battery, too.
  const batteries = supplies.filter(
    ({ type, scope, present }) => type === 'Battery' && scope !== 'Device' && present !== '0',
  );
  if (batteries.length === 0)
    return { power: { absent: 'no battery' }, battery_temperature_c: { absent: 'no battery' } };
  const temperatures = batteries.flatMap(({ temp }) => (temp === null ? [] : [Number(temp) / 10]));
  return {
    power: batteryPower(
      batteries,
      supplies.filter(({ type }) => type !== 'Battery' && type !== 'UPS'),
    ),
    battery_temperature_c:
      temperatures.length === 0
        ? { absent: 'the battery does not say' }
        : within(Math.max(...temperatures), -20, 100, 'the battery in °C'),
  };
}

interface Supply {
  readonly online: string | null;
  readonly status: string | null;
  readonly capacity: string | null;
}

function batteryPower(batteries: readonly Supply[], lines: readonly Supply[]): Signal<Power> {
  const online = lines.some((line) => line.online === '1');
  const states = batteries.map(({ status }) => status);
  const discharging = states.includes('Discharging');
  // A line that says it is off while the battery fills up is a connector of several.
  const charging = states.includes('Charging');
  if (
    !online &&
    !discharging &&
    !charging &&
    lines.length === 0 &&
    states.every((state) => state === null || state === 'Unknown')
  ) {
    return { unknown: 'the battery does not say whether it discharges' };
  }
  const charges = batteries.flatMap(({ capacity }) => (capacity === null ? [] : [Number(capacity)]));
  if (charges.some((charge) => !(charge >= 0 && charge <= 100)))
    return { unknown: `the battery says it is ${charges}% full` };
  const charge_percent = charges.length === 0 ? null : charges.reduce((sum, one) => sum + one, 0) / charges.length;
  const on_battery = !online && !charging && (discharging || lines.length > 0);
  return { known: { on_battery, charge_percent } };
}

/** Sensors that are not of the processor or its board, by the names that drivers give. */
const OTHER_SENSORS = /^(iwlwifi|BAT|battery|nvme|drivetemp|jc42)/i;

async function temperatureOf(place: LinuxPlace): Promise<Signal<number>> {
  const zones = (await namesIn(place, 'sys', 'class', 'thermal')).filter((name) => name.startsWith('thermal_zone'));
  const chips = await namesIn(place, 'sys', 'class', 'hwmon');
  const found = await Promise.all([
    ...zones.map((zone) => sensor(place, ['sys', 'class', 'thermal', zone], 'type', /^temp$/)),
    ...chips.map((chip) => sensor(place, ['sys', 'class', 'hwmon', chip], 'name', /^temp\d+_input$/)),
  ]);
  const said = found.flat();
  if (said.length === 0) return { absent: 'no sensor' };
  const possible = said.filter((one) => one > -20 && one < 125 && one !== 0); // 0 is what a sensor says that is off
  return possible.length > 0
    ? { known: Math.max(...possible) }
    : { unknown: `the sensors say ${Math.max(...said)} °C` };
}

async function sensor(place: LinuxPlace, at: readonly string[], named: string, files: RegExp): Promise<number[]> {
  const name = (await textOf(place, ...at, named)) ?? '';
  if (OTHER_SENSORS.test(name)) return [];
  const inputs = (await namesIn(place, ...at)).filter((file) => files.test(file));
  const said = await Promise.all(inputs.map((file) => textOf(place, ...at, file)));
  return said.flatMap((text) => (text === null || text === '' ? [] : [Number(text) / 1000]));
}

/** /proc/meminfo, and below it what a container may have (cgroup v2). */
function memoryOf(place: LinuxPlace): Signals['memory'] {
  const info = textNow(place, 'proc/meminfo') ?? '';
  const field = (name: string): number =>
    Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(info)?.[1] ?? Number.NaN) * 1024;
  let [total_bytes, available_bytes] = [field('MemTotal'), field('MemAvailable')];
  if (!(total_bytes > 0 && available_bytes >= 0 && available_bytes <= total_bytes))
    return { unknown: '/proc/meminfo is not as expected' };
  const cgroup = (file: string): string | null => textNow(place, `sys/fs/cgroup/memory.${file}`);
  const most = cgroup('max');
  const current = most !== null && Number(most) < total_bytes ? cgroup('current') : null;
  if (current !== null) {
    const cached = Number(/^inactive_file (\d+)/m.exec(cgroup('stat') ?? '')?.[1] ?? 0);
    total_bytes = Number(most);
    available_bytes = Math.min(available_bytes, Math.max(0, total_bytes - Number(current) + cached));
  }
  let own_bytes = 0;
  for (const pid of place.own_pids())
    own_bytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(textNow(place, `proc/${pid}/status`) ?? '')?.[1] ?? 0) * 1024;
  return { known: { total_bytes, available_bytes, own_bytes } };
}

const NMCLI = ['-t', '-f', 'GENERAL.STATE,GENERAL.METERED', 'device', 'show'];

/** One connection that is paid by volume is enough: which one is used changes without notice. See nm-settings(5), connection.metered. */
export function meteredOf(said: Said): Signal<boolean> {
  if ('missing' in said) return { absent: 'no NetworkManager' };
  if ('failed' in said)
    return said.failed.includes('not running') ? { absent: 'no NetworkManager' } : { unknown: said.failed };
  const devices = said.text.split(/\n\s*\n|\n(?=GENERAL\.STATE)/);
  return {
    known: devices.some((device) => /^GENERAL\.STATE:100\b/m.test(device) && /^GENERAL\.METERED:yes/m.test(device)),
  };
}
