// A pool of processes of which a third is killed at random moments: is every answer whole and the undisturbed one, and how long do callers wait?
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Child } from '../cli/children.ts';
import { type Random, seededRandom } from '../protocol/random.ts';
import { decimal, type Report, text, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { metricsOf, type PoolProcesses, startPool } from './pool-processes.ts';
import { table, valueAt } from './report.ts';
import { type CallerOutcome, readAnswer } from './serve-callers.ts';

export const options = {
  devices: whole('processes that serve', { from: 2, to: 64, usual: 8, quick: 3 }),
  callers: whole('callers, each with one answer after the other', { from: 1, to: 100, usual: 8, quick: 2 }),
  tokens: whole('tokens of an answer', { from: 4, to: 200, usual: 96, quick: 48 }),
  seconds: decimal('how long devices are killed', { from: 1, to: 36_000, usual: 300, quick: 10 }),
  period_seconds: decimal('in each period a third of the devices is killed', {
    from: 1,
    to: 3600,
    usual: 20,
    quick: 5,
  }),
  seed: text('who dies when, and what is asked', 'TEXT'),
};

export const notes = `Each process is "potluck join --serve-only" on a model of random weights, and comes back a second after it was killed. What is
asked is asked once before anybody is killed; a later answer to the same must have the same text.`;

type Options = Values<typeof options>;

/** So many different requests are asked again and again. */
const REQUESTS = 12;
const MOST_PAUSE_S = 1.5;
export async function run(options: Options): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-'));
  let pool: PoolProcesses | null = null;
  try {
    pool = await startPool(folder, options.devices);
    return await measure(pool.url, pool.devices, options);
  } finally {
    await pool?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(url: string, devices: readonly Child[], options: Options): Promise<Report> {
  const random = seededRandom('serve-pool', options.seed ?? 'serve-pool');
  const requests = Array.from({ length: REQUESTS }, (_, i) => ({
    prompt: `The ${['pot', 'lamp', 'river', 'engine'][i % 4]} of number ${i} `,
    seed: i,
    max_tokens: options.tokens,
  }));
  const undisturbed: CallerOutcome[] = [];
  for (const request of requests) undisturbed.push(await readAnswer(url, request));
  const failed = undisturbed.find((one) => one.end !== 'whole');
  if (failed) throw new BenchError('engine-failed', `an undisturbed answer ended with ${failed.end}`);
  const calm = await callAll(url, requests, options.callers, Math.min(30, options.seconds / 4), random);
  const before = await metricsOf(url);
  const killing = killSome(devices, options, random);
  const stormy = await callAll(url, requests, options.callers, options.seconds, random);
  const kills = await killing;
  const pauses = pausesOf(before, await metricsOf(url));
  const calmly = figuresOf(calm, undisturbed);
  const disturbed = figuresOf(stormy, undisturbed);
  const bad = disturbed.answers - disturbed.whole_and_equal;
  const isBad = bad > 0 || pauses.p95_at_most_s > MOST_PAUSE_S;
  const row = (name: string, figures: Figures) => [
    ...[
      name,
      String(figures.answers),
      String(figures.whole_and_equal),
      String(figures.cut),
      String(figures.other_text),
    ],
    ...[String(figures.refused_first), figures.first_token_p50_s.toFixed(2), figures.longest_gap_p95_s.toFixed(2)],
  ];
  const headings = [
    '',
    'answers',
    'whole and equal',
    'cut',
    'other text',
    '429 first',
    'first token s',
    'longest gap p95 s',
  ];
  return {
    data: { options, kills, calm: calmly, disturbed, pauses },
    text: `${table(headings, [row('nobody killed', calmly), row('a third killed', disturbed)])}

${kills} kills; ${pauses.hand_overs} times another device went on, with a pause of at most ${pauses.p95_at_most_s} s in 95 of 100`,
    failure: isBad
      ? new BenchError(
          'bound-broken',
          `${bad} answers were not whole and equal; p95 of the pauses is at most ${pauses.p95_at_most_s} s`,
        )
      : null,
  };
}

/** Callers that ask one thing after the other for a time. */
async function callAll(
  url: string,
  requests: readonly { prompt: string; seed: number; max_tokens: number }[],
  callers: number,
  seconds: number,
  random: Random,
): Promise<CallerOutcome[]> {
  const ends_ms = performance.now() + seconds * 1000;
  const outcomes: CallerOutcome[] = [];
  const call = async (): Promise<void> => {
    while (performance.now() < ends_ms) outcomes.push(await readAnswer(url, requests[random.below(requests.length)]));
  };
  await Promise.all(Array.from({ length: callers }, call));
  return outcomes;
}

/** In each period kills a third of the devices, each at a random moment of it. Resolves with how many were killed. */
async function killSome(devices: readonly Child[], options: Options, random: Random): Promise<number> {
  const { seconds, period_seconds } = options;
  const count = Math.max(1, Math.floor(devices.length / 3));
  let kills = 0;
  for (let left_s = seconds; left_s > 0; left_s -= period_seconds) {
    const victims = [...devices];
    while (victims.length > count) victims.splice(random.below(victims.length), 1);
    const strikes = victims.map(async (victim) => {
      await wait(random.below(Math.ceil(Math.min(period_seconds, left_s) * 1000)));
      const pid = victim.pid();
      if (pid === undefined) return;
      try {
        process.kill(pid, 'SIGKILL');
        kills++;
      } catch {
        // It has not come back yet.
      }
    });
    await Promise.all([...strikes, wait(Math.min(period_seconds, left_s) * 1000)]);
  }
  return kills;
}

interface Figures {
  readonly answers: number;
  readonly whole_and_equal: number;
  readonly cut: number;
  readonly other_text: number;
  /** Answers that were refused with 429 before they began, and came when they were asked for again. */
  readonly refused_first: number;
  readonly first_token_p50_s: number;
  readonly longest_gap_p95_s: number;
}

function figuresOf(outcomes: readonly CallerOutcome[], undisturbed: readonly CallerOutcome[]): Figures {
  const isEqual = ({ seed, text }: CallerOutcome): boolean =>
    undisturbed.some((one) => one.seed === seed && one.text === text);
  const whole = outcomes.filter(({ end }) => end === 'whole');
  const at = (part: number, of: (one: CallerOutcome) => number): number => valueAt(outcomes.map(of), part);
  return {
    answers: outcomes.length,
    whole_and_equal: whole.filter(isEqual).length,
    cut: outcomes.length - whole.length,
    other_text: whole.filter((one) => !isEqual(one)).length,
    refused_first: outcomes.filter(({ refusals }) => refusals > 0).length,
    first_token_p50_s: at(0.5, (one) => one.first_token_s),
    longest_gap_p95_s: at(0.95, (one) => one.longest_gap_s),
  };
}

/** The pauses in which another device went on, from the hub's histogram: each bucket holds all that are at most so long. */
function pausesOf(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>) {
  const grown = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
  const hand_overs = grown('potluck_pool_pause_seconds_count');
  const buckets = [...after.keys()].flatMap((name) => {
    const bound = /^potluck_pool_pause_seconds_bucket\{le="([\d.]+)"\}$/.exec(name);
    return bound ? [{ at_most_s: Number(bound[1]), count: grown(name) }] : [];
  });
  const p95 = buckets.sort((a, b) => a.at_most_s - b.at_most_s).find(({ count }) => count >= 0.95 * hand_overs);
  return { hand_overs, p95_at_most_s: hand_overs === 0 ? 0 : (p95?.at_most_s ?? Number.POSITIVE_INFINITY), buckets };
}
