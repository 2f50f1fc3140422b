// A hub as a gateway: what a token costs it that a device of its pool writes and a caller reads, with many devices and streams at once.
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fetchStatus } from '../peer/find-run.ts';
import { decimal, type Report, type Values, whole } from './bench.ts';
import { nextMessage } from './child-messages.ts';
import { startCluster } from './cluster-processes.ts';
import { shapeOf, WORKLOADS } from './compute-workload.ts';
import { BenchError } from './errors.ts';
import { costsTooMuch, GATEWAY_BOUNDS } from './gateway-bounds.ts';
import type { DevicesOrder } from './gateway-devices.ts';
import { startHub } from './hub-process.ts';
import { createServedRun } from './pool-processes.ts';
import { processorTimeMs } from './processor-time.ts';
import { table, wholeNumber } from './report.ts';
import { startS3Process } from './s3-process.ts';
import { readStreams } from './stream-readers.ts';

export const options = {
  devices: whole('devices that serve', { from: 1, to: 4096, usual: 1000, quick: 20 }),
  streams: whole('streams that are open at the same time', { from: 1, to: 2000, usual: 1000, quick: 20 }),
  tokens: whole('tokens of each stream', { from: 1, to: 4000, usual: 60, quick: 20 }),
  ramp_seconds: decimal('within which the streams open', { from: 0, to: 600, usual: 10, quick: 1 }),
  fronts: whole('front ends that the devices connect to; 0: they connect to the gateway', { from: 0, to: 1, usual: 0 }),
  per_second: decimal('tokens of a stream in a second', { from: 0.1, to: 100, usual: 3, quick: 20 }),
};

export const notes = `The hub is "potluck hub" as a process of its own; devices hold real sockets to it, each with its own key, and callers read over HTTP.
Devices run their own code over an engine that is a clock, all in one process, and judge each other as always. Processor time and memory are
the hub's alone, from /proc: Linux only. The same time without callers is measured before, and shown. With --fronts 1 the devices connect to
a front end, another process, and what they say comes to the gateway over a real NATS server.`;

/** What is measured, and what else does a part of it. */
interface Processes {
  readonly url: string;
  readonly hub: string;
  readonly gateway: { pid(): number | undefined };
  readonly front: { pid(): number | undefined } | null;
  /** Where callers ask. */
  readonly asked: string;
  stop(): Promise<void>;
}

/** One process; or a gateway and a front end, which the devices connect to. */
async function startProcesses(folder: string, fronts: number): Promise<Processes> {
  if (fronts === 0) {
    const { child, listening } = startHub(folder, '--no-page');
    try {
      const { url, hub } = await listening;
      return { url, hub, gateway: child, front: null, asked: url, stop: () => child.stop() };
    } catch (error) {
      await child.stop();
      throw error;
    }
  }
  const {
    hub,
    sequencers,
    fronts: ends,
    close,
  } = await startCluster(folder, {
    ...{ sequencers: 1, fronts, also: ',gateway' },
    s3: await startS3Process('double'),
  });
  const [[gateway], [front]] = [sequencers, ends];
  return { url: front.url, hub, gateway, front, asked: gateway.url, stop: close };
}

const PLACES = 2; // of a device: some are full while others are free, as in life
const IDLE_MS = 5000;

type Options = Values<typeof options>;

export async function run(options: Options): Promise<Report> {
  if (process.platform !== 'linux')
    throw new BenchError('usage', 'the figures are read from /proc, which only Linux has');
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-'));
  const processes = await startProcesses(folder, options.fronts);
  let devices: ReturnType<typeof fork> | null = null;
  try {
    const { url, hub: id } = processes;
    const run = await createServedRun(url, folder, shapeOf(WORKLOADS.small));
    const { model } = (await fetchStatus(url)).runs[0];
    const order = { run, model, url, hub: id, devices: options.devices, places: PLACES };
    const words = JSON.stringify({ ...order, pause_ms: 1000 / options.per_second } satisfies DevicesOrder);
    devices = fork(join(import.meta.dirname, 'gateway-devices.ts'), [words]);
    await nextMessage(devices, 'the process of the devices');
    return await measure(processes, options);
  } finally {
    devices?.kill();
    await processes.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Processor time and memory of a process, threads included. */
function figuresOf(child: Processes['gateway']): {
  readonly cpu_ms: number;
  readonly rss_bytes: number;
  readonly most_rss_bytes: number;
} {
  const status = readFileSync(`/proc/${child.pid()}/status`, 'utf8');
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return {
    cpu_ms: processorTimeMs(child),
    rss_bytes: kilobytes('VmRSS') * 1024,
    most_rss_bytes: kilobytes('VmHWM') * 1024,
  };
}

async function measure(
  { gateway, front, asked: at }: Processes,
  { devices, streams, tokens, per_second, ramp_seconds }: Options,
): Promise<Report> {
  const resting = figuresOf(gateway);
  await wait(IDLE_MS);
  const before = figuresOf(gateway);
  const passing_before = front && figuresOf(front);
  const begun_ms = performance.now();
  const ramp_ms = ramp_seconds * 1000;
  const asked = { port: Number(new URL(at).port), key: null, model: 'bench', streams, max_tokens: tokens, ramp_ms };
  const { counts, again } = await readStreams(asked);
  const wall_s = (performance.now() - begun_ms) / 1000;
  const after = figuresOf(gateway);
  const passing_ms = front ? figuresOf(front).cpu_ms - passing_before!.cpu_ms : 0;
  const whole_count = streams * tokens;
  const said = counts.reduce((sum, count) => sum + count, 0);
  if (said !== whole_count) {
    throw new BenchError('wrong-result', `expected ${whole_count} tokens in ${streams} streams, got ${said}`);
  }
  const data = {
    ...{ devices, streams, tokens, per_second, wall_s, again },
    cpu_ms_a_token: (after.cpu_ms - before.cpu_ms) / whole_count,
    front_cpu_ms_a_token: front ? passing_ms / whole_count : null,
    idle_cpu_ms_a_second: (before.cpu_ms - resting.cpu_ms) / (IDLE_MS / 1000),
    rss_bytes: after.most_rss_bytes,
    idle_rss_bytes: before.rss_bytes,
  };
  const rows = [
    [
      'processor time a streamed token',
      `${data.cpu_ms_a_token.toFixed(3)} ms`,
      `≤ ${GATEWAY_BOUNDS.cpu_ms_a_token} ms`,
    ],
    ...(data.front_cpu_ms_a_token === null
      ? []
      : [['of the front end that passes it on', `${data.front_cpu_ms_a_token.toFixed(3)} ms`, '']]),
    ['of a second without callers', `${data.idle_cpu_ms_a_second.toFixed(1)} ms`, ''],
    ['memory at most', `${wholeNumber(data.rss_bytes / 1e6)} MB`, `≤ ${GATEWAY_BOUNDS.rss_bytes / 1e6} MB`],
    ['memory before the first request', `${wholeNumber(data.idle_rss_bytes / 1e6)} MB`, ''],
    ['times that a caller was asked to come again', wholeNumber(again), ''],
    ['time for all streams', `${wall_s.toFixed(1)} s`, `${wholeNumber(whole_count / wall_s)} tokens/s`],
  ];
  const heading = `${wholeNumber(devices)} devices, ${wholeNumber(streams)} streams of ${tokens} tokens, ${per_second} a second each`;
  return {
    data,
    text: `${heading}\n\n${table(['', 'measured', 'bound'], rows)}`,
    failure: costsTooMuch(data)
      ? new BenchError('bound-broken', 'the hub costs more than is promised of a gateway')
      : null,
  };
}
