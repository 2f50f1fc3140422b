// `npm run simulate -- --seeds 1000`: plays seeded histories; prints the seed and the smallest trace of the first that fails.
import { Command, InvalidArgumentError } from 'commander';
import { BUGS, type Bug } from './bugs.ts';
import { simulateCluster } from './cluster/command.ts';
import { playDrawn, playRegistry } from './drawn-history.ts';
import { SimulationError } from './errors.ts';
import { ALL_FAULTS, findFault, recordSeeds } from './find-faults.ts';
import { simulateFile } from './fleet/command.ts';
import { killedByUnit } from './killed-by-unit.ts';
import { simulateMoves } from './moving/command.ts';
import { type Plan, planOf } from './plan.ts';
import { play, shrink } from './shrink.ts';
import { playStages } from './staged-history.ts';
import { stagedPlanOf } from './staged-plan.ts';
import type { Outcome } from './world.ts';

const PROGRESS_EVERY = 50;
const TRACE_SHOWN = 60;
const NAME_COLUMN = 42;
const VIOLATION_SHOWN = 140;

const whole = (text: string): number => {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError('expected a whole number from 0');
};

interface Options {
  readonly seeds: number;
  readonly from: number;
  readonly seed?: number;
  readonly bug?: string;
  readonly bugs?: boolean;
  readonly stages?: boolean;
  readonly cluster?: boolean;
  readonly kills?: number;
  readonly moves?: boolean;
  readonly record?: boolean;
  readonly unit?: boolean;
  readonly json?: boolean | string;
  readonly trace?: boolean;
  readonly fleet?: string;
  readonly page?: string;
}

function bugNamed(name: string | undefined): Bug | null {
  if (name === undefined) return null;
  const bug = BUGS.find((candidate) => candidate.name === name);
  if (bug) return bug;
  const names = BUGS.map((candidate) => candidate.name).join(', ');
  throw new SimulationError('bad-options', `expected one of ${names}, got "${name}"`);
}

/** A plan in a few lines. */
function describePlan({ seed, peers, run, faults }: Plan): string {
  return [
    `seed ${seed}: ${peers.map(({ name }) => name).join(', ')}; ${run.rounds} rounds of ${run.round_ms} ms`,
    ...faults.map(({ kind, at_ms, duration_ms, peer }) => `  ${kind} at ${at_ms} for ${duration_ms} ms (peer ${peer})`),
  ].join('\n');
}

/** Plants every fault, one after the other. @returns whether each was found */
async function findAll(options: Options): Promise<boolean> {
  let missed = 0;
  const foundBy = new Map<string, number>();
  for (const fault of ALL_FAULTS) {
    const byHistory = await findFault(fault, options.record);
    if (byHistory?.seeds) foundBy.set(fault.name, byHistory.seeds);
    const byUnit = options.unit || byHistory === null ? killedByUnit(fault) : null;
    const found = byHistory?.seeds !== null && byUnit?.killed !== false;
    if (!found) missed++;
    if (options.json) {
      console.log(JSON.stringify({ fault: fault.name, found, ...byHistory, unit: byUnit }));
      continue;
    }
    const seeds = byHistory && (byHistory.seeds === null ? 'NOT FOUND' : `seed ${byHistory.seeds}`);
    const unit = byUnit && `${byUnit.killed ? '' : 'NOT FOUND by '}test ${byUnit.test}`;
    const line = [seeds, unit, byHistory?.violation?.slice(0, VIOLATION_SHOWN)].filter(Boolean).join('; ');
    console.log(`${fault.name.padEnd(NAME_COLUMN)} ${line}`);
  }
  if (options.record) recordSeeds(foundBy);
  if (!options.json) console.log(`${ALL_FAULTS.length} planted faults, ${missed} not found`);
  return missed === 0;
}

/** Histories of runs in stages. A failing one is not made smaller. */
async function simulateStages(options: Options): Promise<boolean> {
  const first = options.seed ?? options.from;
  const seeds = options.seed === undefined ? options.seeds : 1;
  const sum = { events: 0, happenings: 0, rounds: 0 };
  const before = process.cpuUsage();
  let failed = 0;
  for (let seed = first; seed < first + seeds; seed++) {
    const plan = stagedPlanOf(seed);
    const { violation, trace, ...outcome } = await playStages(plan);
    sum.events += outcome.log_events;
    sum.happenings += outcome.happenings;
    sum.rounds += outcome.rounds;
    if (violation) failed++;
    if (violation && options.json) console.log(JSON.stringify({ failed_seed: seed, violation }));
    else if (violation) console.log(`${describePlan(plan)}\n${violation}`);
    const isShown = options.trace || (violation !== null && seeds === 1);
    if (isShown) console.log(trace.slice(options.trace ? 0 : -TRACE_SHOWN).join('\n'));
    const done = seed - first + 1;
    if (!options.json && done % PROGRESS_EVERY === 0) console.log(`${done} of ${seeds} seeds, ${failed} failed`);
  }
  const { user, system } = process.cpuUsage(before);
  const cpu_seconds = (user + system) / 1e6;
  if (options.json) console.log(JSON.stringify({ seeds, first, ...sum, violations: failed, cpu_seconds }));
  else {
    const { events, happenings, rounds } = sum;
    const lived = `${rounds} rounds, ${events} events in the logs, ${happenings} happenings, ${cpu_seconds.toFixed(0)} s of CPU`;
    console.log(`${seeds} seeds of runs in stages from ${first}: ${failed} failed; ${lived}`);
  }
  return failed === 0;
}

async function simulate(options: Options): Promise<boolean> {
  const bug = bugNamed(options.bug);
  const first = options.seed ?? options.from;
  const seeds = options.seed === undefined ? options.seeds : 1;
  const print = (line: string): void => console.log(line);
  const started_ms = performance.now();
  let events = 0;
  let happenings = 0;
  let outcome: Outcome | null = null;
  for (let seed = first; seed < first + seeds; seed++) {
    const drawn = bug ? null : ((await playDrawn(seed)) ?? (await playRegistry(seed)));
    if (drawn) {
      print(
        options.json
          ? JSON.stringify({ failed_seed: seed, violation: drawn })
          : `seed ${seed}, drawn history: ${drawn}`,
      );
      return false;
    }
    outcome = await play(planOf(seed), bug);
    events += outcome.log_events;
    happenings += outcome.happenings;
    if (outcome.violation) {
      const smallest = await shrink(planOf(seed), bug);
      const { violation, trace } = smallest.outcome;
      if (options.json) {
        print(
          JSON.stringify({
            failed_seed: seed,
            violation: outcome.violation,
            smallest: { ...smallest.outcome, plan: smallest.plan },
          }),
        );
        return false;
      }
      print(`seed ${seed} fails at ${outcome.at_ms.toFixed(0)} ms: ${outcome.violation}`);
      print(`\nthe smallest history found that fails:\n${describePlan(smallest.plan)}\n`);
      print(trace.slice(-TRACE_SHOWN).join('\n'));
      print(`\n${violation}\n\nagain: npm run simulate -- --seed ${seed}${bug ? ` --bug ${bug.name}` : ''}`);
      return false;
    }
    const done = seed - first + 1;
    if (!options.json && done % PROGRESS_EVERY === 0)
      print(`${done} of ${seeds} seeds, ${events} events in their logs`);
  }
  const seconds = (performance.now() - started_ms) / 1000;
  if (options.trace && outcome) print(outcome.trace.join('\n'));
  if (options.json)
    print(
      JSON.stringify({
        seeds,
        first,
        events,
        happenings,
        violations: 0,
        seconds,
        last: { ...outcome, trace: undefined },
      }),
    );
  else {
    print(
      `${seeds} seeds from ${first}: nothing failed; ${events} events in the logs, ${happenings} happenings, ${seconds.toFixed(1)} s`,
    );
    if (seeds === 1 && outcome) print(`log ${outcome.log_hash}\ntrace ${outcome.trace_hash}`);
  }
  return true;
}

const program = new Command('simulate')
  .description('Plays the network on a virtual clock, with faults that follow from a seed.')
  .option('--seeds <count>', 'how many histories', whole, 100)
  .option('--from <seed>', 'the first seed', whole, 1)
  .option('--seed <seed>', 'only this one', whole)
  .option('--bug <name>', `with a planted fault: ${BUGS.map(({ name }) => name).join(', ')}`)
  .option('--stages', 'histories of runs in stages instead, whose devices talk to each other')
  .option('--cluster', 'histories of a hub of several processes instead, which die, stand still and are cut off')
  .option(
    '--kills <count>',
    'with --cluster: so many kills of the process that leads, at every point of its writes',
    whole,
  )
  .option('--moves', 'histories of runs that move between the logs of several hubs instead')
  .option('--bugs', 'plants every fault that is known, and says which seed finds it')
  .option(
    '--record',
    'with --bugs: begins with the seed that found a fault last, and writes down which one did this time',
  )
  .option('--unit', 'with --bugs: also whether the unit test that is named for a fault of the rules fails with it')
  .option('--trace', 'print what happened in the last history')
  .option('--fleet <file>', 'a fleet of up to thousands of millions of devices instead, in cohorts (docs/fleets.md)')
  .option('--page <file>', 'with --fleet: a page with its curves, one file of HTML')
  .option('--json [file]', 'one line of JSON; of a fleet, into a file where one is named')
  .action(async (options: Options) => {
    if (options.fleet !== undefined) return simulateFile({ ...options, fleet: options.fleet });
    const done = options.bugs
      ? findAll(options)
      : options.cluster
        ? simulateCluster(options)
        : options.stages
          ? simulateStages(options)
          : options.moves
            ? simulateMoves(options)
            : simulate(options);
    process.exitCode = (await done) ? 0 : 1;
  });

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
});
