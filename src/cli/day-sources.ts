// Where a keeper's counts of a day come from on this system: processor time, power, and what the hub tells of a device's work.
import { readHub } from '../peer/find-run.ts';
import { powerOfLinux, powerOfMac, powerOfWindows } from '../peer/owner-policy/energy-probes.ts';
import { withDescendants } from '../peer/owner-policy/linux-files.ts';
import { nodeCpuTimes } from '../peer/owner-policy/own-use.ts';
import { cpuTimes } from '../peer/owner-policy/probe-linux.ts';
import type { Signals } from '../peer/owner-policy/signals.ts';
import { runCommand } from '../peer/owner-policy/sources.ts';
import { type DeviceWork, DeviceWorkSchema } from '../protocol/messages.ts';
import type { DayKeeperOptions, DeviceAsked } from './day-keeper.ts';
import type { KeptUse } from './kept-process.ts';

/** @param signals what is seen of graphics processors: while Potluck computes on one, what others do not do there is taken for its own */
export function forHere(
  use: KeptUse,
  signals: () => Signals,
): Pick<DayKeeperOptions, 'cpuTimes' | 'power' | 'gpuPart' | 'ask'> {
  const root = '/';
  const own_pids = (): number[] => withDescendants({ root }, use.pids());
  const { platform } = process;
  return {
    cpuTimes: () => (platform === 'linux' ? cpuTimes({ root, own_pids }) : nodeCpuTimes(use)),
    async power() {
      if (platform === 'linux') return powerOfLinux({ root, run: runCommand });
      if (platform === 'darwin') return powerOfMac(runCommand);
      return platform === 'win32' ? powerOfWindows(runCommand) : [];
    },
    gpuPart(index) {
      const { gpus } = signals();
      if (use.gpu_pids().length === 0 || !('known' in gpus)) return 0;
      return 1 - (gpus.known.find((card) => card.index === index)?.foreign_percent ?? 0) / 100;
    },
    ask: askWork,
  };
}

/** What a hub tells of a device's work; null where it does not answer, is older, or says something else. */
async function askWork({ url, run, peer }: DeviceAsked): Promise<DeviceWork | null> {
  try {
    const { ok, json } = await readHub(url, `/runs/${run}/peers/${peer}`);
    return ok ? (DeviceWorkSchema.safeParse(json).data ?? null) : null;
  } catch {
    return null; // it is asked again
  }
}
