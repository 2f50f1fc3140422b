// The probe of the system that this is; of one that is none of the three only what Node tells everywhere.
import { cpus, totalmem } from 'node:os';
import type { Clock } from '../../protocol/clock.ts';
import { openLoadMeter } from './load-meter.ts';
import { nodeCpuTimes, type OwnUse } from './own-use.ts';
import { gpuSource } from './probe-gpu.ts';
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
  /** Which processes of this device talk to graphics processors; left out where none may, and none is asked about. */
  readonly gpu_pids?: () => readonly number[];
  /** How long others' load must last to count; null: it counts for nothing. Left out: it counts at once. */
  readonly foreign_load_ms?: () => number | null;
  /** The folder whose disk must not fill up. */
  readonly folder: string;
}

export function openProbeHere(place: ProbePlace, onNews: () => void): Probe {
  const { clock, own_pids, gpu_pids } = place;
  const { sources, close } = sourcesHere(place);
  const gpus = gpu_pids ? [gpuSource(runCommand, { own_pids, gpu_pids })] : [];
  const probe = openProbe([...sources, ...gpus], clock, onNews);
  return {
    ...probe,
    close() {
      probe.close();
      close?.();
    },
  };
}

function sourcesHere({ clock, own, own_pids, folder, foreign_load_ms = () => 0 }: ProbePlace): {
  readonly sources: Source[];
  close?(): void;
} {
  const run = runCommand;
  if (process.platform === 'linux')
    return { sources: linuxSources({ root: '/', run, clock, own_pids, folder, foreign_load_ms }) };
  if (process.platform === 'darwin') return { sources: macSources({ run, clock, own, folder }) };
  if (process.platform === 'win32') return windowsSources({ clock, own, folder, total_bytes: totalmem() });
  if (cpus().length === 0) return { sources: [diskSource(folder)] };
  const load = openLoadMeter(() => nodeCpuTimes(own), clock);
  const loadSource: Source = {
    tells: ['foreign_cpu_percent'],
    every_ms: 250,
    read: async () => ({ foreign_cpu_percent: await load() }),
  };
  return { sources: [diskSource(folder), loadSource] };
}
