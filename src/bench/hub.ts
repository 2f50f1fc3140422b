// One hub with thousands of connected peers: a round of theirs, and all of them back at once after the hub was killed.
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { EventBody } from '../core/events.ts';
import { exampleRules } from '../core/testing/example-events.ts';
import { wordsOfGame } from '../games/parts.ts';
import { game } from '../games/pretrain.ts';
import { CONNECTED_SHARE, divided, openFilesHere } from '../hub/descriptors.ts';
import { openFolderBlobStore } from '../ledger/folder-blob-store.ts';
import { modelTensors } from '../model/checkpoint.ts';
import { writeParts } from '../model/parts.ts';
import { encodeModelManifest } from '../model/tensor-manifest.ts';
import { signEvent } from '../protocol/envelope.ts';
import { utf8 } from '../protocol/hash.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { type RunView, RunViewSchema } from '../protocol/messages.ts';
import { oneOf, type Report, type Values, whole } from './bench.ts';
import { nextMessage } from './child-messages.ts';
import { BenchError } from './errors.ts';
import type { Target } from './flood.ts';
import type { Did, PeersOrder, Told } from './hub-peers.ts';
import { type HubProcess, startHub } from './hub-process.ts';
import { madeUp, paramsFor } from './made-up-work.ts';
import { processorTimeMs } from './processor-time.ts';
import { table, wholeNumber } from './report.ts';

export const options = {
  peers: whole('connected peers', { from: 2, to: 20_000, usual: 10_000, quick: 60 }),
  submissions: whole('of them that hand in', { from: 1, to: 20_000, usual: 5000, quick: 30 }),
  validators: whole('of them that judge', { from: 1, to: 256, usual: 16, quick: 4 }),
  parameters: whole('of the model, which nobody trains', { from: 1, to: 1_000_000, usual: 1000 }),
  processes: whole('that hold the peers', { from: 1, to: 16, usual: 2, quick: 1 }),
  watch_seconds: whole('after all are back, in which nobody may be written off', {
    ...{ from: 1, to: 600, usual: 35, quick: 8 },
  }),
  told_seconds: whole('in which each is told something once a second, after as many of silence', {
    ...{ from: 2, to: 600, usual: 20, quick: 4 },
  }),
  only: oneOf('what is measured', ['all', 'sockets'], 'all'),
};

export const notes = `A hub as a process of its own, and processes that hold peers with a key and a WebSocket each. All connect and join; the hub is killed
(SIGKILL), starts again, and all come back at once; then there is a round: work is handed in (what is larger than an event may enclose is uploaded before), workers that hand in nothing say goodbye, judges
are drawn, seal and reveal, and the hub merges. Before anybody joins, a time of silence and one in which the run's owner pauses the run or lets it go on once a
second, which everybody is told: what open connections cost by themselves (--only sockets ends there). Work and verdicts are made up; everything that a hub does with them is real. Processor time is the hub's.`;

/** What a hub that holds so many peers is to stay below. */
const BOUNDS = {
  ...{ cpu_s: 60, event_us: 200, memory_mb: 1000, validator_mb: 20, back_cpu_s: 3, leaves: 0 },
  ...{ told_percent: 25, sockets_mb: 300 },
} as const;
/** A time that no step of a round comes near, so that none ends by its deadline. */
const LONG_MS = 3_600_000;
const POLL_MS = 200;

interface Step {
  readonly what: string;
  readonly count: number;
  readonly cpu_ms: number;
  readonly wall_ms: number;
}

/** What open connections cost. */
interface Sockets {
  readonly peers: number;
  /** Of a core, while nobody says anything. */
  readonly idle_percent: number;
  /** While each is told something once a second. */
  readonly told_percent: number;
  /** How much that was, a second and peer. */
  readonly told_bytes: number;
  /** What the hub held then. */
  readonly memory_mb: number;
}

interface Measured {
  readonly sockets: Sockets;
  readonly peers: number;
  readonly submissions: number;
  readonly validators: number;
  readonly steps: readonly Step[];
  /** From the first connection to the merge, without the restart. */
  readonly cpu_s: number;
  /** Of events alone: joins, work, goodbyes, verdicts, each with what it causes. */
  readonly event_us: number;
  readonly events: number;
  readonly memory_mb: number;
  /** The most that came to one of them. */
  readonly validator_mb: number;
  readonly back: { readonly cpu_s: number; readonly wall_s: number; readonly leaves: number };
}

export async function run(given: Values<typeof options>): Promise<Report> {
  const { peers, submissions, validators } = given;
  if (submissions + validators > peers) {
    throw new BenchError(
      'usage',
      `${submissions} workers that hand in and ${validators} validators are more than ${peers} peers`,
    );
  }
  mustHaveSockets(peers, Math.ceil(peers / given.processes));
  return measure(given);
}

/** The connections of others than peers, and files. */
const SPARE = 100;

/** Throws BenchError `usage` where the system allows fewer open files than the connections need. */
function mustHaveSockets(at_hub: number, at_one: number): void {
  const soft = openFilesHere();
  const taken = Math.floor(divided(soft).sockets * CONNECTED_SHARE);
  if (taken >= at_hub && soft >= at_one + SPARE) return;
  throw new BenchError(
    'usage',
    `a process may have ${soft} files open here, and a hub then takes ${taken} peers: raise the limit (ulimit -n) or take fewer --peers than ${at_hub}`,
  );
}

async function measure(given: Values<typeof options>): Promise<Report> {
  const folder = await mkdtemp(join(tmpdir(), 'potluck-bench-hub-'));
  const closers: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    const named = await storeModel(join(folder, 'hub', 'blobs'), given.parameters);
    const hub = await openHub(folder);
    closers.unshift(() => hub.close());
    const owner = createIdentity();
    const children = ordersOf(given).map((order) =>
      fork(join(import.meta.dirname, 'hub-peers.ts'), [JSON.stringify(order)], { stdio: 'inherit' }),
    );
    closers.unshift(() => children.forEach((child) => void child.kill()));
    const told = await connect(hub, owner, children, named, given);
    if (given.only === 'sockets')
      return { data: { sockets: told.sockets }, text: table(SUMS_HEAD, socketRows(told.sockets)) };
    const measured = await play(hub, owner, children, told, given);
    return { data: measured, text: textOf(measured) };
  } finally {
    for (const close of closers) await close();
  }
}

/** The run, everybody connected to it, and what was measured until then. */
interface Connected {
  readonly id: string;
  /** The last word of its owner that was taken. */
  readonly attempt: number;
  readonly steps: Step[];
  readonly sockets: Sockets;
}

const sayTo = async (children: readonly ChildProcess[], told: Told): Promise<Did> =>
  total(await Promise.all(children.map((child) => order(child, told))));

/** Adds what it measures to steps. */
const stepsOf =
  (hub: Hub, steps: Step[]) =>
  async (what: string, act: () => Promise<number>): Promise<Step> => {
    const [cpu_ms, wall_ms] = [hub.cpu_ms(), performance.now()];
    const count = await act();
    const step = { what, count, cpu_ms: hub.cpu_ms() - cpu_ms, wall_ms: performance.now() - wall_ms };
    steps.push(step);
    process.stderr.write(`${what}: ${wholeNumber(step.cpu_ms)} ms of processor time\n`);
    return step;
  };

/** Makes the run, connects everybody, and measures what the connections cost. */
async function connect(
  hub: Hub,
  owner: Identity,
  children: readonly ChildProcess[],
  named: { readonly model: string; readonly params: string },
  { peers, validators, told_seconds }: Values<typeof options>,
): Promise<Connected> {
  const { url } = hub.target;
  const steps: Step[] = [];
  const step = stepsOf(hub, steps);
  const id = await send(url, owner, runBy(named, Math.min(1000, peers - validators)));
  let { attempt } = await untilView(url, id, () => true);
  const word = async (type: 'run.paused' | 'run.resumed', phase: RunView['phase']): Promise<void> => {
    await send(url, owner, { type, version: 1, run: id, round: 0, attempt });
    ({ attempt } = await untilView(url, id, (view) => view.phase === phase));
  };
  await word('run.paused', 'paused');
  await step('connect', async () => (await sayTo(children, { do: 'connect', target: hub.target, run: id })).count);
  const idle = await step('silence, a second', async () => {
    await pause(told_seconds * 1000);
    return told_seconds;
  });
  const before = await sayTo(children, { do: 'look' });
  const told = await step('each told once a second, a second', async () => {
    for (let second = 0; second < told_seconds; second++) {
      const next = pause(1000);
      if (second % 2 === 0) await word('run.resumed', 'gathering');
      else await word('run.paused', 'paused');
      await next;
    }
    return told_seconds;
  });
  const after = await sayTo(children, { do: 'look' });
  if (told_seconds % 2 === 1) await word('run.paused', 'paused');
  const percent = ({ cpu_ms, wall_ms }: Step): number => (cpu_ms / wall_ms) * 100;
  const sockets = {
    ...{ peers, idle_percent: percent(idle), told_percent: percent(told) },
    told_bytes: (after.bytes - before.bytes) / peers / (told.wall_ms / 1000),
    memory_mb: hub.now_mb(),
  };
  return { id, attempt, steps, sockets };
}

/** Everything that happens then, one after the other. */
async function play(
  hub: Hub,
  owner: Identity,
  children: readonly ChildProcess[],
  { id, attempt, steps, sockets }: Connected,
  { peers, submissions, validators, watch_seconds }: Values<typeof options>,
): Promise<Measured> {
  const say = (told: Told): Promise<Did> => sayTo(children, told);
  const step = stepsOf(hub, steps);
  const tell = (what: string, told: Told) => step(what, async () => (await say(told)).count);
  await tell('join', { do: 'join' });

  const start_ms = await hub.killAndStart();
  steps.push({ what: 'start again', count: 1, cpu_ms: start_ms, wall_ms: 0 });
  await tell('come back', { do: 'come-back' });
  const back = steps.at(-1)!;
  await pause(watch_seconds * 1000);
  const { gone: leaves } = await say({ do: 'look' });
  if (leaves > 0) await tell('join again', { do: 'join' });

  await send(hub.target.url, owner, { type: 'run.resumed', version: 1, run: id, round: 0, attempt });
  const open = await untilView(hub.target.url, id, ({ phase }) => phase === 'working');
  await tell('upload work', { do: 'upload' });
  await tell('hand in', { do: 'submit', attempt: open.attempt, base: open.model });
  await tell('say goodbye', { do: 'leave' });
  await tell('draw, upload evidence', { do: 'evidence' });
  await tell('seal', { do: 'seal' });
  await tell('reveal', { do: 'reveal' });
  await step('merge', async () => {
    await untilView(hub.target.url, id, ({ round }) => round === 1);
    return 1;
  });
  const { validator_bytes } = await say({ do: 'look' });
  const own = steps.filter(({ what }) => EVENTS.includes(what));
  const cpu_ms = steps.filter((one) => !APART.includes(one.what)).reduce((sum, one) => sum + one.cpu_ms, 0);
  const events = own.reduce((sum, { count }) => sum + count, 0);
  return {
    ...{ sockets, peers, submissions, validators, steps, events, cpu_s: cpu_ms / 1000 },
    event_us: (own.reduce((sum, one) => sum + one.cpu_ms, 0) / events) * 1000,
    memory_mb: hub.peak_mb(),
    validator_mb: Math.max(...validator_bytes) / 1e6,
    back: { cpu_s: back.cpu_ms / 1000, wall_s: back.wall_ms / 1000, leaves },
  };
}

/** What comes of killing the hub, and what only measures connections. */
const APART: readonly string[] = [
  ...['start again', 'come back', 'join again'],
  ...['silence, a second', 'each told once a second, a second'],
];
/** The steps of which each is an event of the log. */
const EVENTS: readonly string[] = ['join', 'hand in', 'say goodbye', 'seal', 'reveal'];

const total = (all: readonly Did[]): Did => ({
  count: all.reduce((sum, { count }) => sum + count, 0),
  gone: all.reduce((sum, { gone }) => sum + gone, 0),
  bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
  validator_bytes: all.flatMap(({ validator_bytes }) => validator_bytes),
});

async function order(child: ChildProcess, told: Told): Promise<Did> {
  const answer = nextMessage(child, 'a process of peers');
  child.send(told);
  return (await answer) as Did;
}

/** Each process has its part of everything. */
function ordersOf({ peers, submissions, validators, parameters, processes }: Values<typeof options>): PeersOrder[] {
  const partOf = (all: number, i: number): number =>
    Math.floor(((i + 1) * all) / processes) - Math.floor((i * all) / processes);
  return Array.from({ length: processes }, (_, i) => ({
    ...{
      workers: partOf(peers - validators, i),
      validators: partOf(validators, i),
      submissions: partOf(submissions, i),
    },
    ...{ first: i * submissions, parameters },
  }));
}

/** A hub that can be killed, and started again on its folder and at its address. */
interface Hub {
  readonly target: Target;
  cpu_ms(): number;
  /** The memory that it holds now. */
  now_mb(): number;
  /** The most memory that a hub of these held. */
  peak_mb(): number;
  /** @returns the processor time until it listens again, in milliseconds */
  killAndStart(): Promise<number>;
  close(): Promise<void>;
}

async function openHub(folder: string): Promise<Hub> {
  let hub: HubProcess = startHub(folder, '--no-page');
  const { url, hub: id } = await hub.listening;
  let peak_mb = 0;
  const memoryMb = (what: 'VmHWM' | 'VmRSS'): number => {
    const text = readFileSync(`/proc/${hub.child.pid()}/status`, 'utf8');
    return Number(new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(text)![1]) / 1000;
  };
  const look = (): number => {
    peak_mb = Math.max(peak_mb, memoryMb('VmHWM'));
    return peak_mb;
  };
  return {
    target: { url, hub: id, is_public: false },
    cpu_ms: () => processorTimeMs(hub.child),
    now_mb: () => memoryMb('VmRSS'),
    peak_mb: look,
    async killAndStart() {
      look();
      process.kill(hub.child.pid()!, 'SIGKILL');
      await hub.child.stop(); // it has ended then
      hub = startHub(folder, '--no-page', '--port', new URL(url).port);
      await hub.listening;
      return processorTimeMs(hub.child);
    },
    close: () => hub.child.stop(),
  };
}

async function storeModel(folder: string, parameters: number): Promise<{ model: string; params: string }> {
  const blobs = await openFolderBlobStore(folder);
  const params = paramsFor(parameters, 1);
  const tensors = modelTensors(params.model, 'f32');
  const model = await blobs.put(encodeModelManifest(await writeParts(tensors, madeUp(tensors), blobs.put)));
  return { model, params: await blobs.put(utf8(JSON.stringify(params))) };
}

const runBy = (named: { readonly model: string; readonly params: string }, min_workers: number): EventBody => ({
  ...{ type: 'run.created', version: 3, ...wordsOfGame(game), name: 'bench', game: game.name, ...named, created_ms: 0 },
  ...{ rounds: 10, checkpoint_every: 10, round_ms: LONG_MS, judging_ms: LONG_MS, min_workers },
  rules: exampleRules({
    ...{ shares_per_round: 1_000_000, halving_rounds: 0 },
    ...{ owner_permille: 100, workers_permille: 800, validators_permille: 100 },
  }),
});

/** Sends an event over HTTP; resolves with its id. */
async function send(url: string, author: Identity, body: EventBody): Promise<string> {
  const event = (await signEvent(author, body)) as Uint8Array<ArrayBuffer>;
  const answer = await fetch(`${url}/events`, { method: 'POST', body: event });
  const said = (await answer.json()) as { event?: string };
  if (said.event) return said.event;
  throw new BenchError('engine-failed', `${body.type}: the hub answered ${answer.status} ${JSON.stringify(said)}`);
}

/** Asks until the whole run's view is as it should be. */
async function untilView(url: string, run: string, holds: (view: RunView) => boolean): Promise<RunView> {
  for (;;) {
    const view = RunViewSchema.parse(await (await fetch(`${url}/runs/${run}`)).json());
    if (holds(view)) return view;
    await pause(POLL_MS);
  }
}

const bound = (value: number, unit: string, most: number) => [`${value.toFixed(1)} ${unit}`, `${most} ${unit}`];

const socketRows = ({ told_bytes: told, ...of }: Sockets): string[][] => [
  ['of a core, while all are silent', `${of.idle_percent.toFixed(1)} %`, ''],
  [`of a core, each told ${wholeNumber(told)} bytes a second`, ...bound(of.told_percent, '%', BOUNDS.told_percent)],
  ['memory, with nothing but connections', ...bound(of.memory_mb, 'MB', BOUNDS.sockets_mb)],
];

const SUMS_HEAD = ['together', 'measured', 'at 10,000 peers at most'];

function textOf({ steps, peers, submissions, validators, back, ...of }: Measured): string {
  const rows = steps.map(({ what, count, cpu_ms, wall_ms }) => [
    what,
    wholeNumber(count),
    `${wholeNumber(cpu_ms)} ms`,
    count === 0 ? '–' : `${wholeNumber((cpu_ms / count) * 1000)} µs`,
    `${(wall_ms / 1000).toFixed(1)} s`,
  ]);
  const sums = [
    ['processor time, without the restart', ...bound(of.cpu_s, 's', BOUNDS.cpu_s)],
    [`each of ${wholeNumber(of.events)} events`, ...bound(of.event_us, 'µs', BOUNDS.event_us)],
    ['most memory', ...bound(of.memory_mb, 'MB', BOUNDS.memory_mb)],
    ['most that a validator was sent', ...bound(of.validator_mb, 'MB', BOUNDS.validator_mb)],
    [`all back after ${back.wall_s.toFixed(1)} s: processor time`, ...bound(back.cpu_s, 's', BOUNDS.back_cpu_s)],
    ['of whom the log says that they have left', String(back.leaves), String(BOUNDS.leaves)],
    ...socketRows(of.sockets),
  ];
  const head = `${wholeNumber(peers)} connected, ${wholeNumber(submissions)} hand in, ${validators} judge`;
  return [table([head, 'count', "hub's processor", 'each', 'wall'], rows), table(SUMS_HEAD, sums)].join('\n\n');
}
