// What Potluck's own processes take, where the system does not tell of another process cheaply: each says it of itself.
import { cpus } from 'node:os';
import type { CpuTimes } from './load-meter.ts';

export interface OwnUse {
  /** Processor time of all of them since they started. */
  cpu_ms(): number;
  rss_bytes(): number;
}

/** What the machine's cores did, as Node tells on every system. */
export function nodeCpuTimes(own: OwnUse): CpuTimes {
  let [busy_ms, idle_ms] = [0, 0];
  for (const { times } of cpus()) {
    busy_ms += times.user + times.nice + times.sys + times.irq;
    idle_ms += times.idle;
  }
  return { busy_ms, all_ms: busy_ms + idle_ms, own_ms: own.cpu_ms() };
}
