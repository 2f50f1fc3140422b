// A Linux made of a folder: what stands in its small files is what a probe sees, and a test changes it.
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';

export interface FakeRoot {
  readonly root: string;
  write(files: Readonly<Record<string, string>>): void;
  /** Sets when a file was read last. */
  touch(file: string, atime_ms: number): void;
}

export function fakeRoot(t: TestContext, files: Readonly<Record<string, string>>): FakeRoot {
  const root = mkdtempSync(join(tmpdir(), 'potluck-root-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const write = (more: Readonly<Record<string, string>>): void => {
    for (const [path, text] of Object.entries(more)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
  };
  write(files);
  return { root, write, touch: (file, atime_ms) => utimesSync(join(root, file), atime_ms / 1000, 0) };
}

/** A laptop with two cores, in the forms that proc(5) and the kernel's ABI documents give. */
export const LAPTOP: Readonly<Record<string, string>> = {
  'proc/stat': 'cpu  100 0 50 1000 10 0 0 0 0 0\ncpu0 50 0 25 500 5 0 0 0 0 0\n',
  'proc/meminfo': 'MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n',
  'proc/interrupts':
    '           CPU0       CPU1\n  1:        900          0   IO-APIC   1-edge      i8042\n  8:          1          0   IO-APIC   8-edge      rtc0\n 12:       5000         12   IO-APIC  12-edge      i8042\n',
  'proc/uptime': '5000.00 9000.00\n',
  'sys/class/power_supply/AC/type': 'Mains\n',
  'sys/class/power_supply/AC/online': '1\n',
  'sys/class/power_supply/BAT0/type': 'Battery\n',
  'sys/class/power_supply/BAT0/present': '1\n',
  'sys/class/power_supply/BAT0/status': 'Charging\n',
  'sys/class/power_supply/BAT0/capacity': '81\n',
  'sys/class/power_supply/BAT0/temp': '312\n',
  'sys/class/power_supply/hidpp_battery_0/type': 'Battery\n',
  'sys/class/power_supply/hidpp_battery_0/scope': 'Device\n',
  'sys/class/power_supply/hidpp_battery_0/status': 'Discharging\n',
  'sys/class/power_supply/hidpp_battery_0/capacity': '5\n',
  'sys/class/thermal/thermal_zone0/type': 'acpitz\n',
  'sys/class/thermal/thermal_zone0/temp': '45000\n',
  'sys/class/thermal/thermal_zone1/type': 'iwlwifi_1\n',
  'sys/class/thermal/thermal_zone1/temp': '99000\n',
  'sys/class/thermal/cooling_device0/type': 'Fan\n',
  'sys/class/hwmon/hwmon0/name': 'coretemp\n',
  'sys/class/hwmon/hwmon0/temp1_input': '61000\n',
  'sys/class/hwmon/hwmon0/temp1_max': '100000\n',
  'sys/class/hwmon/hwmon1/name': 'nvme\n',
  'sys/class/hwmon/hwmon1/temp1_input': '70000\n',
  'dev/input/event0': '',
};
