// `npm run simulate -- --cluster`: histories of a hub of several processes, or with `--kills N` so many kills of its leader.

import { type ClusterPlan, clusterPlanOf } from './cluster-plan.ts';
import { playKills } from './kills.ts';
import { playCluster } from './play-cluster.ts';
import { KILL_POINTS } from './shared-journal.ts';

export interface ClusterOptions {
  readonly seeds: number;
  readonly from: number;
  readonly seed?: number;
  readonly kills?: number;
  readonly trace?: boolean;
  readonly json?: boolean | string;
}

const KILLS_A_HISTORY = 50;
const PROGRESS_EVERY = 25;
const TRACE_SHOWN = 80;

/** A history for whoever looks for a fault: what did not hold, or null. */
export async function playClusterSeed(seed: number): Promise<string | null> {
  return (await playCluster(clusterPlanOf(seed))).violation;
}

/** Prints what came of it. @returns whether everything held */
export async function simulateCluster(options: ClusterOptions): Promise<boolean> {
  return options.kills === undefined ? histories(options) : kills(options, options.kills);
}

const describePlan = ({ seed, machines, faults }: ClusterPlan): string =>
  [
    `seed ${seed}: ${machines.map(({ name, roles }) => `${name} (${roles.join(', ')})`).join(', ')}`,
    ...faults.map(({ kind, at_ms, duration_ms }) => `  ${kind} at ${at_ms} for ${duration_ms} ms`),
  ].join('\n');

async function histories(options: ClusterOptions): Promise<boolean> {
  const first = options.seed ?? options.from;
  const seeds = options.seed === undefined ? options.seeds : 1;
  const sum = { events: 0, acknowledged: 0, leaders: 0, fenced: 0, happenings: 0 };
  const before = process.cpuUsage();
  let failed = 0;
  for (let seed = first; seed < first + seeds; seed++) {
    const plan = clusterPlanOf(seed);
    const { violation, at_ms, trace, trace_hash, ...outcome } = await playCluster(plan);
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += outcome[name];
    if (violation) failed++;
    if (violation && options.json) console.log(JSON.stringify({ failed_seed: seed, at_ms, violation }));
    else if (violation) console.log(`${describePlan(plan)}\nfails at ${at_ms.toFixed(0)} ms: ${violation}\n`);
    const isShown = options.trace || (violation !== null && seeds === 1);
    if (isShown) console.log(trace.slice(options.trace ? 0 : -TRACE_SHOWN).join('\n'));
    if (seeds === 1 && !options.json) console.log(`trace ${trace_hash}`);
    const done = seed - first + 1;
    if (!options.json && done % PROGRESS_EVERY === 0) console.log(`${done} of ${seeds} seeds, ${failed} failed`);
  }
  const cpu_seconds = secondsSince(before);
  if (options.json) console.log(JSON.stringify({ seeds, first, ...sum, violations: failed, cpu_seconds }));
  else {
    const { events, acknowledged, leaders, fenced } = sum;
    console.log(
      `${seeds} seeds of a hub of several processes from ${first}: ${failed} failed; ${events} events in the logs, ${acknowledged} acknowledged to senders, ${leaders} times a process led, ${fenced} were fenced, ${cpu_seconds.toFixed(0)} s of CPU`,
    );
  }
  return failed === 0;
}

async function kills(options: ClusterOptions, count: number): Promise<boolean> {
  const sum = { acknowledged: 0, lost: 0, doubled: 0, events: 0 };
  const at = Object.fromEntries(KILL_POINTS.map((point) => [point, 0])) as Record<(typeof KILL_POINTS)[number], number>;
  const gaps_ms: number[] = [];
  const before = process.cpuUsage();
  let left = count;
  for (let seed = options.seed ?? options.from; left > 0; seed++) {
    const one = await playKills(seed, Math.min(left, KILLS_A_HISTORY));
    left -= KILLS_A_HISTORY;
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += one[name];
    for (const point of KILL_POINTS) at[point] += one.kills[point];
    gaps_ms.push(...one.gaps_ms);
    if (!one.violation) continue;
    console.log(
      options.json
        ? JSON.stringify({ failed_seed: seed, violation: one.violation })
        : `seed ${seed} fails: ${one.violation}`,
    );
    return false;
  }
  gaps_ms.sort((a, b) => a - b);
  const gap_ms = { median: gaps_ms[gaps_ms.length >> 1], most: gaps_ms.at(-1) };
  const cpu_seconds = secondsSince(before);
  if (options.json) console.log(JSON.stringify({ kills: at, ...sum, gap_ms, cpu_seconds }));
  else {
    const points = KILL_POINTS.map((point) => `${at[point]} ${point}`).join(', ');
    console.log(
      `${count} kills of the leader (${points}): of ${sum.acknowledged} acknowledged events ${sum.lost} lost and ${sum.doubled} doubled; the first answer after a kill came after ${gap_ms.median} ms (median) and ${gap_ms.most} ms (most); ${cpu_seconds.toFixed(0)} s of CPU`,
    );
  }
  return true;
}

function secondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
