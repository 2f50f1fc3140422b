// The hub of `bench big-merge`, a process of its own: prints its address and, at its end, the delays of its event loop and its memory use.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { resourceUsage, stdin } from 'node:process';
import { createInterface } from 'node:readline';
import { openHub } from '../hub/hub.ts';

/** How often the delay of the event loop is measured. */
const RESOLUTION_MS = 2;

export interface HubFigures {
  readonly most_kb: number;
  /** How late timers of the event loop fired: 99 of 100 within p99, and the latest. */
  readonly loop_delay_ms: { readonly p99: number; readonly most: number };
  /** Processor time of the event loop's thread, and of the whole process. */
  readonly loop_cpu_ms: number;
  readonly cpu_ms: number;
}

const hub = await openHub({
  ...{ folder: process.argv[2], host: '127.0.0.1', port: 0 },
  // The workers send their events over HTTP, without a connection, and wait without a limit.
  limits: { lost_after_ms: 2 ** 31 - 1, silence_ms: 2 ** 31 - 1 },
  onError: (error, where) => console.error(`${where}: ${error}`),
});
console.log(JSON.stringify({ url: hub.url }));

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
const cpu = { loop: process.threadCpuUsage(), all: process.cpuUsage() };
delay.enable();
const ms = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;
createInterface({ input: stdin }).once('line', async () => {
  const figures: HubFigures = {
    most_kb: resourceUsage().maxRSS,
    loop_delay_ms: { p99: delay.percentile(99) / 1e6, most: delay.max / 1e6 },
    loop_cpu_ms: ms(process.threadCpuUsage(cpu.loop)),
    cpu_ms: ms(process.cpuUsage(cpu.all)),
  };
  console.log(JSON.stringify(figures));
  await hub.close();
  process.exit();
});
