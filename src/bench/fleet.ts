// A fleet of 10^8 devices for 90 days: the time and memory of simulating it, in a process of its own.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';
import { type Report, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { table } from './report.ts';

export const options = {
  devices: whole('parked cars, as in the scenario that is shipped', { from: 1, to: 1e10, usual: 1e8, quick: 1e8 }),
  days: whole('how long', { from: 1, to: 3650, usual: 90, quick: 2 }),
};

/** What is promised. */
const LIMIT = { seconds: 60, bytes: 1e9 };

export const notes = `The scenario parked-cars of src/simulation/fleet, with as many runs as its devices ask for, and more tokens than they can learn
from, so that no day is left out. It fails beyond ${LIMIT.seconds} s or ${LIMIT.bytes / 1e9} GB.`;

const MeasuredSchema = z.strictObject({
  seconds: z.number(),
  cpu_seconds: z.number(),
  peak_bytes: z.number(),
  hours: z.int(),
  tokens: z.number(),
  device_hours: z.number(),
});
export type MeasuredFleet = z.infer<typeof MeasuredSchema>;

export async function run({ devices, days }: Values<typeof options>): Promise<Report> {
  const measured = measure(devices, days);
  const { seconds, cpu_seconds, peak_bytes, hours, device_hours } = measured;
  const rows = [
    ['hours simulated', String(hours)],
    ['hours of devices', device_hours.toExponential(2)],
    ['time', `${seconds.toFixed(2)} s`],
    ['processor', `${cpu_seconds.toFixed(2)} s`],
    ['peak memory', `${(peak_bytes / 1e6).toFixed(0)} MB`],
  ];
  const over = seconds > LIMIT.seconds || peak_bytes > LIMIT.bytes;
  const failure = over
    ? new BenchError(
        'bound-broken',
        `expected at most ${LIMIT.seconds} s and ${LIMIT.bytes / 1e6} MB, got ${seconds.toFixed(1)} s and ${(peak_bytes / 1e6).toFixed(0)} MB`,
      )
    : null;
  return { data: { devices, days, ...measured }, text: table([`${devices} devices, ${days} days`, ''], rows), failure };
}

function measure(devices: number, days: number): MeasuredFleet {
  const child = join(import.meta.dirname, 'fleet-child.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [child, String(devices), String(days)], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new BenchError('engine-failed', `the simulation ended with ${status}: ${stderr.slice(-500)}`);
  return MeasuredSchema.parse(JSON.parse(stdout));
}
