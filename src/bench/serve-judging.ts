// What judging costs a pool: the processor time of judges beside that of all answers, in a pool of real processes, of newcomers and of veterans.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Child } from '../cli/children.ts';
import { JUDGES_LIMITS } from '../hub/serving/judges.ts';
import { type Report, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { metricsOf, type PoolProcesses, startPool } from './pool-processes.ts';
import { processorTimeMs } from './processor-time.ts';
import { table } from './report.ts';
import { readAnswer } from './serve-callers.ts';

export const options = {
  devices: whole('processes that serve and judge each other', { from: 2, to: 16, usual: 3, quick: 2 }),
  answers: whole('answers of veterans, one after the other', { from: 10, to: 10_000, usual: 200, quick: 10 }),
  prompt: whole('characters of a prompt', { from: 8, to: 120, usual: 60 }),
  tokens: whole('tokens of an answer', { from: 4, to: 120, usual: 96, quick: 48 }),
};

export const notes = `Each process is "potluck join --serve-only" on a model of random weights. Answers are asked for one after the other, each only when the one before is written and judged, so that the processor
time of all device processes is that of the answer up to its end, and that of its judge afterwards; what the processes take when nothing is asked is subtracted. The device that took most of it wrote the answer. Of a newcomer every part is judged,
until as many were accepted as make it a veteran, of whom one part in ${JUDGES_LIMITS.one_in} is drawn: from 100 answers of veterans on the bench fails where judging takes more than 4 % of their work.`;

type Options = Values<typeof options>;
const MOST_SHARE = 0.04;
const MEANINGFUL_ANSWERS = 100;
const IDLE_MS = 3000;

interface Spent {
  answers: number;
  judged: number;
  serving_ms: number;
  judging_ms: number;
}

export async function run(options: Options): Promise<Report> {
  if (process.platform !== 'linux')
    throw new BenchError('usage', 'processor time of processes is read from /proc, as Linux has it');
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-'));
  let pool: PoolProcesses | null = null;
  try {
    pool = await startPool(folder, options.devices);
    return await measure(pool, options);
  } finally {
    await pool?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure({ url, devices }: PoolProcesses, { answers, prompt, tokens }: Options): Promise<Report> {
  let asked = 0;
  const request = () => ({
    prompt: `${asked} `.padEnd(prompt, 'the lamp of the river '),
    seed: asked++,
    max_tokens: tokens,
  });
  // Everything is loaded and compiled before anything is measured.
  const accepted = devices.map(() => 0);
  for (const _ of devices) {
    const { writer, judged } = await askOne(url, devices, request(), 0);
    accepted[writer] += judged;
  }
  const idle = await idleOf(devices);
  const [newcomers, veterans] = [nothing(), nothing()];
  while (veterans.answers < answers) {
    const { writer, ...spent } = await askOne(url, devices, request(), idle);
    add(accepted[writer] < JUDGES_LIMITS.newcomer ? newcomers : veterans, spent);
    accepted[writer] += spent.judged;
  }
  const share = ({ serving_ms, judging_ms }: Spent): number => judging_ms / (serving_ms + judging_ms);
  const of = (sum: number, count: number): string => (count === 0 ? '–' : (sum / count).toFixed(0));
  const row = (name: string, spent: Spent): string[] => [
    ...[name, String(spent.answers), String(spent.judged), of(spent.serving_ms, spent.answers)],
    ...[of(spent.judging_ms, spent.judged), `${(100 * share(spent)).toFixed(1)} %`],
  ];
  const all = add(add(nothing(), newcomers), veterans);
  const one_ms = all.judging_ms / Math.max(1, all.judged);
  const part = one_ms / (all.serving_ms / all.answers);
  const whole_ms = share(veterans);
  const head = ['', 'answers', 'judged', 'CPU ms an answer', 'CPU ms a judging', 'judging of all'];
  const isBad = answers >= MEANINGFUL_ANSWERS && whole_ms > MOST_SHARE;
  return {
    data: { newcomers, veterans, judging_of_an_answer: part, idle_ms_a_second: idle * 1000 },
    text: `${table(head, [row('newcomers', newcomers), row('veterans', veterans)])}

One judging takes ${(100 * part).toFixed(1)} % of the answer that it judges: with one part in ${JUDGES_LIMITS.one_in} drawn, ${((100 * part) / JUDGES_LIMITS.one_in).toFixed(1)} % of a veteran's work.
With its ${JUDGES_LIMITS.newcomer} first parts all judged, a device's judging is below ${100 * MOST_SHARE} % of all its work from its ${belowFrom(part)}th part on.`,
    failure: isBad
      ? new BenchError('bound-broken', `judging takes ${(100 * whole_ms).toFixed(1)} % of the work of veterans`)
      : null,
  };
}

const nothing = (): Spent => ({ answers: 0, judged: 0, serving_ms: 0, judging_ms: 0 });

function add(sum: Spent, one: Spent): Spent {
  for (const key of Object.keys(sum) as (keyof Spent)[]) sum[key] += one[key];
  return sum;
}

/** From how many parts on all judging of a device is less than it may be. */
function belowFrom(part: number): number {
  const { newcomer, one_in } = JUDGES_LIMITS;
  for (let parts = 1; parts < 1e6; parts++) {
    const judged = Math.min(parts, newcomer) + Math.max(0, parts - newcomer) / one_in;
    if ((judged * part) / (parts + judged * part) <= MOST_SHARE) return parts;
  }
  return Number.POSITIVE_INFINITY;
}

/** Asks for one answer, and waits until nobody judges it any more. @param idle what the processes take anyway, of each millisecond */
async function askOne(
  url: string,
  devices: readonly Child[],
  request: Parameters<typeof readAnswer>[1],
  idle: number,
): Promise<Spent & { readonly writer: number }> {
  const before = await judgingsOf(url);
  const first = devices.map(processorTimeMs);
  const begun_ms = performance.now();
  const { end } = await readAnswer(url, request);
  const ended_ms = performance.now();
  const then = devices.map(processorTimeMs);
  if (end !== 'whole') throw new BenchError('engine-failed', `an answer ended with ${end}`);
  let now = await judgingsOf(url);
  for (; now.waiting > 0; now = await judgingsOf(url)) await wait(20);
  const judged_ms = performance.now();
  const last = devices.map(processorTimeMs);
  const written = then.map((spent_ms, i) => spent_ms - first[i]);
  const judged = now.judged - before.judged;
  const serving_ms = sumOf(written) - idle * (ended_ms - begun_ms);
  const after_ms = sumOf(last) - sumOf(then) - idle * (judged_ms - ended_ms);
  // Where nobody judges, what a device still does after the last token is the answer's; otherwise it counts as the judge's.
  return {
    ...{ answers: 1, judged, writer: written.indexOf(Math.max(...written)) },
    ...(judged === 0 ? { serving_ms: serving_ms + after_ms, judging_ms: 0 } : { serving_ms, judging_ms: after_ms }),
  };
}

const sumOf = (list: readonly number[]): number => list.reduce((sum, one) => sum + one, 0);

async function judgingsOf(url: string): Promise<{ readonly waiting: number; readonly judged: number }> {
  const metrics = await metricsOf(url);
  const names = [...metrics.keys()].filter((name) => name.startsWith('potluck_pool_judgings_total'));
  const judged = names.reduce((sum, name) => sum + metrics.get(name)!, 0);
  return { waiting: metrics.get('potluck_pool_judging') ?? 0, judged };
}

/** What the processes take of each millisecond while nothing is asked. */
async function idleOf(devices: readonly Child[]): Promise<number> {
  const [begun_ms, spent_ms] = [performance.now(), sumOf(devices.map(processorTimeMs))];
  await wait(IDLE_MS);
  return (sumOf(devices.map(processorTimeMs)) - spent_ms) / (performance.now() - begun_ms);
}
