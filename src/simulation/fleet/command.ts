// `npm run simulate -- --fleet FILE`: reads a fleet, lets it run, prints tables or JSON, and writes a page with its curves.
import { readFileSync, writeFileSync } from 'node:fs';
import { SimulationError } from '../errors.ts';
import { parseFleet } from './fleet.ts';
import { pageOf } from './page.ts';
import { reportOf } from './report.ts';
import { simulateFleet } from './simulate.ts';

export interface FleetOptions {
  readonly fleet: string;
  /** A file for the result, "-" or true for standard output. */
  readonly json?: string | boolean | undefined;
  /** A file for a page that shows it. */
  readonly page?: string | undefined;
}

/** Throws SimulationError `bad-fleet` for a file that cannot be read or is no fleet. */
export function simulateFile({ fleet: path, json, page }: FleetOptions): void {
  const result = simulateFleet(parseFleet(textOf(path)));
  if (page !== undefined) writeFileSync(page, pageOf(result));
  const toFile = typeof json === 'string' && json !== '-';
  if (toFile) writeFileSync(json, `${JSON.stringify(result)}\n`);
  if (json === undefined || json === false || toFile) console.log(reportOf(result));
  else console.log(JSON.stringify(result));
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new SimulationError('bad-fleet', `--fleet: expected a file, got ${(error as Error).message}`);
  }
}
