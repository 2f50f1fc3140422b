// Lets a fleet run: hour by hour, cohorts of devices and not devices, so that a hundred million cost no more than fifty.
import { Accounts } from './accounts.ts';
import { askCommittee } from './committee-of-fleet.ts';
import { type Fleet, HOURS_A_DAY, memoryGb } from './fleet.ts';
import { HOUR_S } from './hour.ts';
import { type Crowd, crowdsAt } from './presence.ts';
import type { FleetResult } from './result.ts';
import { divide, type Round, type Run, roundOf, strandsOf } from './round.ts';

/** A run that has fewer workers waits for more. */
const LEAST_WORKERS = 1;

/**
 * Simulates a fleet. The same fleet gives the same result on every machine.
 * Throws SimulationError `violated` if the core refuses what its own rules demand.
 */
export function simulateFleet(fleet: Fleet): FleetResult {
  const strands = strandsOf(fleet);
  const fits = fleet.classes.map(({ memory_gb }) => memory_gb >= memoryGb(fleet.model));
  const opinion = askCommittee(fleet, strands);
  const accounts = new Accounts({ fleet, strands, opinion });
  let before: Round | null = null;
  for (let hour = 0; hour < fleet.days * HOURS_A_DAY; hour++) {
    const crowds = crowdsAt(fleet, hour);
    const shares = crowds.map((crowd, i) => divide(fleet.classes[i], crowd, fits[i]));
    const run = runOf(fleet, crowds, shares, before);
    const drawn = roundOf(fleet, strands, run, opinion);
    const round = drawn.workers >= LEAST_WORKERS ? drawn : null;
    accounts.addHour({ hour, crowds, shares, round, run, count: round ? HOUR_S / round.round_s : 0 });
    before = round ?? before;
    if (accounts.finished) break;
  }
  return accounts.result();
}

/** What one of the fleet's runs has: equal parts of those who are there and do not still download the model. */
function runOf(
  fleet: Fleet,
  crowds: readonly Crowd[],
  shares: readonly ReturnType<typeof divide>[],
  before: Round | null,
): Run {
  return {
    workers: shares.map(({ workers }) => workers / fleet.runs),
    judges: shares.map(({ judges }) => judges / fleet.runs),
    sudden: crowds.map(({ sudden, present }) => (present > 0 ? Math.min(1, sudden / present) : 0)),
    came: crowds.map(({ arrivals, present }) => (present > 0 ? arrivals / present : 0)),
    merged_before: before?.handed_in ?? shares.reduce((sum, { workers }) => sum + workers, 0) / fleet.runs,
  };
}
