// The probe of the system that this is; of one that is none of the three only what Node tells everywhere.
import { cpus, totalmem } from 'node:os';
import type { Clock } from '../../protocol/clock.ts';
import { openLoadMeter } from './load-meter.ts';
import { nodeCpuTimes, type OwnUse } from './own-use.ts';
import { diskSource, linuxSources } from './probe-linux.ts';
import { macSources } from './probe-mac.ts';
import { windowsSources } from './probe-windows.ts';
import { openProbe, type Probe, runCommand, type Source } from './sources.ts';

export interface ProbePlace {
  readonly clock: Clock;
  /** Potluck's processes, where the system tells of them by number. */
  readonly own_pids: () => readonly number[];
  /** The same where they tell of themselves. */
  readonly own: OwnUse;
  /** The folder whose disk must not fill up. */
  readonly folder: string;
}

export function openProbeHere(place: ProbePlace, onNews: () => void): Probe {
  const { clock, own, own_pids, folder } = place;
  if (process.platform === 'linux')
    return openProbe(linuxSources({ root: '/', run: runCommand, clock, own_pids, folder }), clock, onNews);
  if (process.platform === 'darwin')
    return openProbe(macSources({ run: runCommand, clock, own, folder }), clock, onNews);
  if (process.platform === 'win32') {
    const { sources, close } = windowsSources({ run: runCommand, clock, own, folder, total_bytes: totalmem() });
    const probe = openProbe(sources, clock, onNews);
    return {
      ...probe,
      close() {
        probe.close();
        close();
      },
    };
  }
  return openProbe(elsewhereSources(place), clock, onNews);
}

function elsewhereSources({ clock, own, folder }: ProbePlace): Source[] {
  if (cpus().length === 0) return [diskSource(folder)];
  const load = openLoadMeter(() => nodeCpuTimes(own), clock);
  return [
    diskSource(folder),
    { tells: ['foreign_cpu_percent'], every_ms: 250, read: async () => ({ foreign_cpu_percent: await load() }) },
  ];
}
