// Simulates the scenario of parked cars with so many devices and days (two arguments), and prints what that took, imports included.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseFleet } from '../simulation/fleet/fleet.ts';
import { simulateFleet } from '../simulation/fleet/simulate.ts';

const FILE = join(import.meta.dirname, '..', 'simulation', 'fleet', 'scenarios', 'parked-cars.json');
const BYTES_A_UNIT = 1024; // of maxRSS
/** More than any fleet learns from in ten years. */
const ENDLESS = 1e30;

const [devices, days] = process.argv.slice(2).map(Number);
const shipped = parseFleet(readFileSync(FILE, 'utf8'));
const runs = Math.max(1, Math.round((shipped.runs * devices) / shipped.devices));
const result = simulateFleet({ ...shipped, devices, days, runs, model: { ...shipped.model, tokens: ENDLESS } });
const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
console.log(
  JSON.stringify({
    seconds: process.uptime(),
    cpu_seconds: (userCPUTime + systemCPUTime) / 1e6,
    peak_bytes: maxRSS * BYTES_A_UNIT,
    hours: result.hours.present.length,
    tokens: result.tokens.merged,
    device_hours: result.classes.reduce((sum, one) => sum + one.device_hours, 0),
  }),
);
