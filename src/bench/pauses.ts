// How soon a worker stops when its owner returns: tries with a fake key press and with real load of other processes, and the cost of the owner's rules.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from '../cli/children.ts';
import { keptProcesses } from '../cli/kept-process.ts';
import type { Decision } from '../peer/owner-policy/decide.ts';
import { type Keeper, openKeeper } from '../peer/owner-policy/keeper.ts';
import { openProbeHere } from '../peer/owner-policy/probe.ts';
import { readDeviceSettings } from '../peer/owner-policy/settings.ts';
import { nothingSeen, type Signals } from '../peer/owner-policy/signals.ts';
import { sleep, systemClock } from '../protocol/clock.ts';
import { median } from '../training/statistics.ts';
import { decimal, flag, type Report, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { startHub } from './hub-process.ts';
import { table } from './report.ts';

export const options = {
  tries: whole('how often the owner returns, in each way', { from: 1, to: 1000, usual: 100 }),
  seconds: decimal('how long the cost of the rules is measured', { from: 5, to: 600, usual: 30 }),
  only_load: flag(
    'count only the load of the busy process of this bench: for a machine on which others are never quiet',
  ),
};

export const notes = `Linux only. Starts a hub, a run of a model whose steps take long, and a worker under its owner's rules. In each try the worker computes, then
the owner returns: a fake probe reports a key press at once, or a process takes a whole core, which the real probe has to see. During the
second after the first one, the worker may take at most 2% of a core. The bench then measures what part of its processor time a worker takes that
may compute only a part of the time, what the process takes that keeps it, and the memory that both hold after the worker's memory was given back.`;

const TICK_MS = 10;
const PROMISE = { within_ms: 1000, looked_at_ms: 1000, most_part: 0.02, held_bytes: 150e6, cost_part: 0.005 } as const;

/** Settings with which only the subject of a try stops the worker. */
const ANYWHERE = {
  ...{
    on_battery: true,
    on_metered: true,
    hottest_c: null,
    hottest_battery_c: null,
    least_free_memory_gb: 0,
    least_free_disk_gb: 0,
  },
  ...{
    memory_percent_in_use: 90,
    foreign_cpu_percent_in_use: null,
    cores_in_use: 0,
    foreign_load_s: 0,
    keep_memory_s: 3600,
  },
} as const;

interface Tries {
  readonly way: string;
  readonly tries: number;
  readonly kept: number;
  readonly median_part: number;
  readonly worst_part: number;
}

export async function run({ tries, seconds, only_load }: Values<typeof options>): Promise<Report> {
  if (process.platform !== 'linux')
    throw new BenchError('usage', 'pauses: expected Linux, whose /proc tells what a process takes');
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-pauses-'));
  process.env.POTLUCK_HOME = join(folder, 'home');
  const hub = startHub(folder, '--no-page', '--log-level', 'error');
  try {
    const { url } = await hub.listening;
    const words = await joinWords(folder, url);
    const rows = [await byKey(words, tries), await byLoad(words, tries, only_load)];
    const duties = await dutiesOf(words, seconds);
    const cost = await costOf(words, folder, seconds);
    const broken = rows.find((row) => row.kept < row.tries);
    const failure =
      broken &&
      new BenchError('bound-broken', `${broken.way}: ${broken.kept} of ${broken.tries} tries kept the promise`);
    return { data: { rows, duties, ...cost }, text: textOf(rows, duties, cost), failure };
  } finally {
    await hub.child.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Creates a run in which a step takes a few hundred milliseconds; resolves with the command line that joins it. */
async function joinWords(folder: string, url: string): Promise<string[]> {
  const text = join(folder, 'text.txt');
  writeFileSync(text, Array.from({ length: 20_000 }, (_, i) => `line ${i} of a text`).join('\n'));
  const model = '--layers 4 --width 256 --heads 4 --feed-forward 768 --context 128 --batch 16';
  const shape = `${model} --rounds 10000 --round-seconds 600 --steps 100000 --open`.split(' ');
  const created = Promise.withResolvers<void>();
  startChild({
    args: ['run', 'create', '--hub', url, '--data', text, ...shape],
    restart_ms: null,
    onLine: (line) => {
      if (line.type === 'created') created.resolve();
    },
    onDeath: (lastWords) => created.reject(new BenchError('engine-failed', `run create: ${lastWords}`)),
  });
  await created.promise;
  return ['join', url, '--folder', join(folder, 'worker'), '--json'];
}

/** The processor time of all threads of a process since its start; 0 without a process. */
function cpuOf(pid: number): number {
  if (pid === 0) return 0;
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** The part of a core that a process uses during some time from now on. */
async function partOver(pid: number, time_ms: number): Promise<number> {
  const [cpu_ms, at_ms] = [cpuOf(pid), performance.now()];
  await sleep(systemClock, time_ms);
  return (cpuOf(pid) - cpu_ms) / (performance.now() - at_ms);
}

const UNSEEN = nothingSeen('fake');

/** A worker that computes, within the rules of this process. */
function keepHere(words: readonly string[], settings: () => object, signals: () => Signals) {
  // At the usual priority: on a busy machine, a process of the lowest priority hardly differs from a stopped one.
  const { start, use } = keptProcesses([...words, '--alone'], 'ignore');
  const decisions: Decision['do'][] = [];
  const keeper = openKeeper({
    ...{ clock: systemClock, cores: 4, threads: 1, duty: 1, gpu: null, signals, start },
    ...{
      settings: () => readDeviceSettings({ ...ANYWHERE, ...settings() }),
      orders: () => ({ paused: false, finish: false, snooze_left_ms: 0 }),
    },
    onDecision: (decision) => decisions.push(decision.do),
    onStruck: (signal) => {
      throw new BenchError('engine-failed', `the system has ended the worker (${signal})`);
    },
  });
  const worker = (): number => use.pids()[1] ?? 0;
  return { keeper, use, worker, doing: () => decisions.at(-1) };
}

/** Resolves when the worker computes. */
async function untilItWorks(worker: () => number, more_than = 0.1): Promise<void> {
  for (const end = performance.now() + 120_000; ; ) {
    if ((await partOver(worker(), 200)) > more_than) return;
    if (performance.now() > end) throw new BenchError('engine-failed', 'the worker does not compute');
  }
}

function rowOf(way: string, parts: readonly number[]): Tries {
  const kept = parts.filter((part) => part <= PROMISE.most_part).length;
  return { way, tries: parts.length, kept, median_part: median(parts), worst_part: Math.max(...parts) };
}

async function byKey(words: readonly string[], tries: number): Promise<Tries> {
  let idle_ms = 1e9;
  const { keeper, worker } = keepHere(
    words,
    () => ({}),
    () => ({ ...UNSEEN, idle_ms: { known: idle_ms } }),
  );
  keeper.look();
  const parts: number[] = [];
  for (let i = 0; i < tries; i++) {
    await untilItWorks(worker);
    idle_ms = 0;
    keeper.look();
    await sleep(systemClock, PROMISE.within_ms);
    parts.push(await partOver(worker(), PROMISE.looked_at_ms));
    idle_ms = 1e9;
    keeper.look();
  }
  await leave(keeper);
  return rowOf('a key is pressed', parts);
}

async function byLoad(words: readonly string[], tries: number, only_load: boolean): Promise<Tries> {
  const settings = { foreign_cpu_percent_idle: only_load ? 10 : 25 };
  let busy: ChildProcess | null = null;
  const others = (): number[] =>
    readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0 && pid !== busy?.pid);
  let kept: ReturnType<typeof keepHere> | null = null;
  const place = { clock: systemClock, own: { cpu_ms: () => 0, rss_bytes: () => 0 }, folder: tmpdir() };
  const probe = openProbeHere({ ...place, own_pids: () => (only_load ? others() : kept!.use.pids()) }, () =>
    kept?.keeper.look(),
  );
  kept = keepHere(
    words,
    () => settings,
    () => ({
      ...probe.now(),
      idle_ms: { absent: 'nobody is looked for in these tries' },
    }),
  );
  const { keeper, worker } = kept;
  await probe.ready;
  keeper.look();
  const parts: number[] = [];
  for (let i = 0; i < tries; i++) {
    await untilItWorks(worker);
    busy = spawn(process.execPath, ['-e', "console.log('on'); for (;;);"], { stdio: ['ignore', 'pipe', 'ignore'] });
    if (only_load) raise(busy.pid!);
    await once(busy.stdout!, 'data');
    await sleep(systemClock, PROMISE.within_ms);
    parts.push(await partOver(worker(), PROMISE.looked_at_ms));
    busy.kill('SIGKILL');
  }
  probe.close();
  await leave(keeper);
  return rowOf('a process takes a core', parts);
}

/** Raises the priority, so that the process gets a core on a busy machine too. */
function raise(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_HIGH);
  } catch {
    // Without permission the process gets less of a core, and the try is harder.
  }
}

async function leave(keeper: Keeper): Promise<void> {
  keeper.leave();
  await keeper.ended;
}

const rssOf = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;

/** Measures a real `potluck join`: the processor time of the process that keeps the worker, and the memory in a longer pause. */
async function costOf(
  words: readonly string[],
  folder: string,
  seconds: number,
): Promise<{ cost_part: number; held_bytes: number }> {
  const device = join(folder, 'home', 'device');
  mkdirSync(device, { recursive: true });
  writeFileSync(join(device, 'settings.json'), JSON.stringify({ ...ANYWHERE, cores_in_use: 1, keep_memory_s: 1 }));
  const bin = join(import.meta.dirname, '..', '..', 'bin', 'potluck.js');
  const joined = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', bin, ...words], { stdio: 'ignore' });
  const keeper = joined.pid!;
  const kept = (): number[] =>
    readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0 && isKeptBy(keeper, pid));
  while (kept().length === 0) await sleep(systemClock, 100);
  await untilItWorks(() => kept()[0] ?? 0, 0); // the worker has the lowest priority here
  const cost_part = await partOver(keeper, seconds * 1000);
  writeFileSync(join(device, 'orders.json'), '{ "paused": true }');
  while (kept().length > 0) await sleep(systemClock, 100);
  const held_bytes = rssOf(keeper);
  joined.kill('SIGTERM');
  await new Promise((resolve) => joined.once('exit', resolve));
  return { cost_part, held_bytes };
}

/** Whether a process is the worker: commands of a probe are children of the same parent, too. */
function isKeptBy(keeper: number, pid: number): boolean {
  try {
    const [, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(parent) === keeper && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('potluck.js');
  } catch {
    return false; // the process has just ended
  }
}

const percent = (part: number): string => `${(100 * part).toFixed(2)}%`;

const DUTIES = [0.75, 0.5, 0.25] as const;
const TURNS = 3;

interface Duty {
  readonly set: number;
  /** Processor time, as part of what the same worker takes just before and after, when it may compute all of the time. */
  readonly held: number;
}

/** In turns with all of the time, since what a worker gets of a busy machine changes from minute to minute. */
async function dutiesOf(words: readonly string[], seconds: number): Promise<Duty[]> {
  let duty_idle = 1;
  const { keeper, worker } = keepHere(
    words,
    () => ({ duty_idle }),
    () => UNSEEN,
  );
  const measured = async (part: number): Promise<number> => {
    duty_idle = part;
    keeper.look();
    await sleep(systemClock, 3000); // the step at hand, and the rest that it owes
    return partOver(worker(), (seconds * 1000) / TURNS);
  };
  keeper.look();
  await untilItWorks(worker);
  const duties: Duty[] = [];
  for (const set of DUTIES) {
    const held: number[] = [];
    let before = await measured(1);
    for (let turn = 0; turn < TURNS; turn++) {
      const part = await measured(set);
      const after = await measured(1);
      held.push((2 * part) / (before + after));
      before = after;
    }
    duties.push({ set, held: median(held) });
  }
  await leave(keeper);
  return duties;
}

function textOf(
  rows: readonly Tries[],
  duties: readonly Duty[],
  { cost_part, held_bytes }: { cost_part: number; held_bytes: number },
): string {
  const cells = rows.map(({ way, tries, kept, median_part, worst_part }) => [
    ...[way, `${kept} of ${tries}`, percent(median_part), percent(worst_part)],
  ]);
  const headings = ['the owner returns', `<= ${percent(PROMISE.most_part)} after 1 s`, 'median of a core', 'worst'];
  const cost = `takes ${percent(cost_part)} of a core (promised: ${percent(PROMISE.cost_part)})`;
  const held = `hold ${(held_bytes / 1e6).toFixed(0)} MB in a longer pause (promised: ${PROMISE.held_bytes / 1e6} MB)`;
  const duty = duties.map((one) => `${percent(one.held)} where ${percent(one.set)} is set`).join(', ');
  return `${table(headings, cells)}\n\nOf its processor time a worker takes ${duty} (promised: within 5%).\nThe process that keeps the worker ${cost}; both ${held}.`;
}
