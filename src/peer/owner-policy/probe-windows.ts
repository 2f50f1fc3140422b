// What Windows tells of a device: one PowerShell that stays and prints a line a second, because starting one takes longer than a second.
// From the documented calls GetLastInputInfo, GetSystemPowerStatus and Win32_OperatingSystem; not yet tried on Windows.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { Clock } from '../../protocol/clock.ts';
import { openLoadMeter } from './load-meter.ts';
import { nodeCpuTimes, type OwnUse } from './own-use.ts';
import { diskSource } from './probe-linux.ts';
import type { Signals } from './signals.ts';
import type { Source } from './sources.ts';

const EVERY_MS = { load: 250, line: 500, old: 3500, again: 30_000 } as const;

/** https://learn.microsoft.com/windows/win32/api/winuser/nf-winuser-getlastinputinfo and …/winbase/ns-winbase-system_power_status */
const SCRIPT = `
$ErrorActionPreference = 'Stop'
Add-Type @'
using System; using System.Runtime.InteropServices;
public static class Potluck {
  [StructLayout(LayoutKind.Sequential)] struct Input { public uint size; public uint tick; }
  [StructLayout(LayoutKind.Sequential)] public struct Power { public byte ac; public byte flag; public byte percent; public byte system; public int life; public int full; }
  [DllImport("user32.dll")] static extern bool GetLastInputInfo(ref Input input);
  [DllImport("kernel32.dll")] static extern bool GetSystemPowerStatus(out Power power);
  public static long Idle() { var i = new Input(); i.size = 8; return GetLastInputInfo(ref i) ? unchecked((uint)Environment.TickCount - i.tick) : -1; }
  public static Power Line() { Power p; if (!GetSystemPowerStatus(out p)) throw new Exception("GetSystemPowerStatus"); return p; }
}
'@
for ($i = 0; ; $i++) {
  if ($i % 20 -eq 0) { $memory = (Get-CimInstance Win32_OperatingSystem).FreePhysicalMemory
    try { [void][Windows.Networking.Connectivity.NetworkInformation, Windows, ContentType = WindowsRuntime]
      $cost = [string][Windows.Networking.Connectivity.NetworkInformation]::GetInternetConnectionProfile().GetConnectionCost().NetworkCostType } catch { $cost = '' } }
  $p = [Potluck]::Line()
  [Console]::Out.WriteLine((ConvertTo-Json -Compress @{ idle_ms = [Potluck]::Idle(); ac = $p.ac; flag = $p.flag; percent = $p.percent; free_kb = $memory; cost = $cost }))
  Start-Sleep -Milliseconds 500
}`;

const LineSchema = z.object({
  idle_ms: z.int(),
  ac: z.int(),
  flag: z.int(),
  percent: z.int(),
  free_kb: z.int().min(0),
  cost: z.string(),
});

/** One line of the script as signals. SYSTEM_POWER_STATUS: 255 is unknown, flag 128 no battery. */
export function signalsOfWindows(
  line: string,
  total_bytes: number,
  own_bytes: number,
): Pick<Signals, 'idle_ms' | 'power' | 'memory' | 'metered'> {
  const { idle_ms, ac, flag, percent, free_kb, cost } = LineSchema.parse(JSON.parse(line));
  const battery = { on_battery: ac === 0, charge_percent: percent <= 100 ? percent : null };
  return {
    idle_ms: idle_ms >= 0 ? { known: idle_ms } : { absent: 'nobody can sit at this session' },
    power:
      flag === 128
        ? { absent: 'no battery' }
        : ac <= 1
          ? { known: battery }
          : { unknown: 'Windows does not know whether it has mains power' },
    memory: { known: { total_bytes, available_bytes: Math.min(free_kb * 1024, total_bytes), own_bytes } },
    metered: cost === '' ? { absent: 'Windows does not say' } : { known: cost === 'Fixed' || cost === 'Variable' },
  };
}

export function windowsSources(place: {
  readonly clock: Clock;
  readonly own: OwnUse;
  readonly folder: string;
  readonly total_bytes: number;
}): { readonly sources: Source[]; close(): void } {
  const { clock, own, folder, total_bytes } = place;
  const load = openLoadMeter(() => nodeCpuTimes(own), clock);
  const shell = openShell(clock);
  const told: Source = {
    tells: ['idle_ms', 'power', 'memory', 'metered'],
    every_ms: EVERY_MS.line,
    read: async () => signalsOfWindows(await shell.line(), total_bytes, own.rss_bytes()),
  };
  const loadSource: Source = {
    tells: ['foreign_cpu_percent'],
    every_ms: EVERY_MS.load,
    read: async () => ({ foreign_cpu_percent: await load() }),
  };
  return { sources: [loadSource, told, diskSource(folder)], close: shell.close };
}

/** The PowerShell that prints lines; one that ended is started again after a while. */
function openShell(clock: Clock): { line(): Promise<string>; close(): void } {
  let newest: { readonly text: string; readonly at_ms: number } | null = null;
  let trouble = 'PowerShell has not answered yet';
  let child: ChildProcess | null = null;
  let startable_ms = Number.NEGATIVE_INFINITY;
  const encoded = Buffer.from(SCRIPT, 'utf16le').toString('base64');
  const start = (): void => {
    startable_ms = clock.elapsed_ms() + EVERY_MS.again;
    const started = spawn('powershell.exe', ['-NoLogo', '-NoProfile', '-NonInteractive', '-EncodedCommand', encoded], {
      stdio: ['ignore', 'pipe', 'ignore'],
      windowsHide: true,
    });
    child = started;
    started.on('error', (error) => {
      trouble = error.message;
      child = null;
    });
    started.on('exit', () => {
      trouble = 'PowerShell has ended';
      child = null;
    });
    createInterface({ input: started.stdout }).on('line', (text) => {
      if (text.startsWith('{')) newest = { text, at_ms: clock.elapsed_ms() };
    });
  };
  return {
    async line() {
      if (child === null && clock.elapsed_ms() >= startable_ms) start();
      if (newest && clock.elapsed_ms() - newest.at_ms < EVERY_MS.old) return newest.text;
      throw new Error(trouble);
    },
    close: () => void child?.kill(),
  };
}
