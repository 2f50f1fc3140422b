// The process that a keeper keeps, and what the two say to each other. Signals stop it where the system has them; elsewhere it is ended.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';
import type { End, Kept } from '../peer/owner-policy/keeper.ts';
import type { OwnUse } from '../peer/owner-policy/own-use.ts';
import type { Throttle } from '../peer/policy.ts';
import type { Pause, Pauses } from '../peer/status.ts';
import type { TookEnergy } from '../peer/token-energy.ts';
import { ObstacleSchema } from '../protocol/messages.ts';
import { energyPerToken } from '../protocol/serving-messages.ts';
import { type RunHere, RunHereSchema, type WorkHere, WorkHereSchema } from './device-worker.ts';
import { CHILD_MARK, KEPT } from './lifetime.ts';

const POTLUCK = join(import.meta.dirname, '..', '..', 'bin', 'potluck.js');
const LIMITS = {
  notice_ms: 120, // what the process gets to note that it is stopped, and to say so: time in which it stands still is no work
  use_every_ms: 500,
  free_gpu_ms: 700, // what the last step on a graphics processor gets before it is ended: its owner has it back within a second
} as const;

const ToKeptSchema = z.union([
  z.object({ go: z.number().positive().max(1), gpu_rests: z.string().nullable() }),
  z.object({ halt: z.literal(true), why: ObstacleSchema.nullable() }),
  z.object({ leave: z.enum(['now', 'after-work']) }),
  /** What its work took since the last time, and what that costs by its owner's settings. */
  z.object({ energy: energyPerToken.extend({ price_per_kwh: z.number().nullable(), wear_per_hour: z.number() }) }),
]);
type ToKept = z.infer<typeof ToKeptSchema>;

const FromKeptSchema = z.union([
  z.object({ over: z.enum(['finished', 'left']) }),
  z.object({ cpu_ms: z.number().min(0), rss_bytes: z.number().min(0) }),
  z.object({ runs: z.array(RunHereSchema) }),
  z.object({ work: WorkHereSchema }),
  /** Those that talk to graphics processors now; none where it has chosen another processor. */
  z.object({ gpu_pids: z.array(z.int().min(1)) }),
  z.object({ gpu_failed: z.string() }),
]);
type FromKept = z.infer<typeof FromKeptSchema>;

/** What the processes that were started have told of themselves, with this one. */
export interface KeptUse extends OwnUse {
  pids(): number[];
  /** Those of them that talk to graphics processors. */
  gpu_pids(): readonly number[];
}

/** A kept process and those that it has started for itself. */
interface Told {
  cpu_ms: number;
  rss_bytes: number;
  gpu_pids: number[];
}

/** What hears of the work of a kept process. */
export interface KeptListener {
  /** The runs that it takes part in. */
  onRuns(runs: RunHere[]): void;
  /** What one of its devices is at. */
  onWork(work: WorkHere): void;
}
const NOBODY: KeptListener = { onRuns() {}, onWork() {} };

/**
 * Starts `potluck WORDS`, one process at a time. `output`: where what it says goes.
 * `script`: another program in tests.
 */
export function keptProcesses(
  words: readonly string[],
  output: 'inherit' | 'ignore' = 'inherit',
  listener: KeptListener = NOBODY,
  script: string = POTLUCK,
): { start(): Kept; readonly use: KeptUse; tookEnergy(energy: TookEnergy): void } {
  let child: ChildProcess | null = null;
  let told: Told = { cpu_ms: 0, rss_bytes: 0, gpu_pids: [] };
  const use: KeptUse = {
    pids: () => [process.pid, ...(child?.pid === undefined ? [] : [child.pid]), ...told.gpu_pids],
    gpu_pids: () => told.gpu_pids,
    cpu_ms: () => {
      const { user, system } = process.cpuUsage();
      return told.cpu_ms + (user + system) / 1000;
    },
    rss_bytes: () => told.rss_bytes + process.memoryUsage.rss(),
  };
  process.on('exit', () => {
    // One that stands still does not hear that it is alone.
    child?.kill('SIGKILL');
    for (const pid of told.gpu_pids) signalTo(pid, 'SIGKILL');
  });
  const start = (): Kept => {
    told = { cpu_ms: 0, rss_bytes: 0, gpu_pids: [] };
    child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...words], {
      stdio: ['inherit', output, output, 'ipc'],
      env: { ...process.env, [CHILD_MARK]: KEPT },
    });
    return keptBy(child, told, listener);
  };
  const tookEnergy = (energy: TookEnergy): void => {
    const words: ToKept = { energy };
    if (child?.connected) child.send(words, () => {});
  };
  return { start, use, tookEnergy };
}

/** Signals a process that may have ended meanwhile. */
function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

/**
 * Ends processes that stand still when this one is gone without having ended them (`kill -9`): they would not hear of it. It waits at a pipe that
 * nobody writes to, in a session of its own, and takes about a megabyte while it does.
 */
function guardOf(pids: readonly number[]): ChildProcess {
  const script = 'read _; kill -9 "$@"';
  const guard = spawn('/bin/sh', ['-c', script, 'sh', ...pids.map(String)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.on('error', () => {}); // without it they stay, as long as nobody ends this process so
  guard.unref();
  return guard;
}

/** @param told where it is kept what the process tells of itself */
function keptBy(child: ChildProcess, told: Told, { onRuns, onWork }: KeptListener): Kept {
  let finished = false;
  let gpu: ReturnType<Kept['gpu']> = 'maybe';
  let halting: NodeJS.Timeout | undefined;
  const all = (signal: NodeJS.Signals): void => {
    child.kill(signal);
    for (const pid of told.gpu_pids) signalTo(pid, signal);
  };
  const endGpu = (): void => {
    for (const pid of told.gpu_pids) signalTo(pid, 'SIGKILL');
    told.gpu_pids = [];
  };
  const canStop = process.platform !== 'win32';
  let guard: ChildProcess | null = null;
  const endGuard = (): void => {
    guard?.kill('SIGKILL');
    guard = null;
  };
  const standStill = (): void => {
    all('SIGSTOP');
    guard = guardOf([child.pid!, ...told.gpu_pids]);
  };
  const say = (words: ToKept): void => {
    if (child.connected) child.send(words, () => {}); // one that is gone is heard of by its end
  };
  child.on('message', (message) => {
    const { data } = FromKeptSchema.safeParse(message);
    if (!data) return;
    if ('over' in data) finished = data.over === 'finished';
    else if ('runs' in data) onRuns(data.runs);
    else if ('work' in data) onWork(data.work);
    else if ('gpu_failed' in data) gpu = { failed: data.gpu_failed };
    else {
      Object.assign(told, data);
      if ('gpu_pids' in data && typeof gpu === 'string') gpu = data.gpu_pids.length > 0 ? 'maybe' : 'none';
    }
  });
  const { promise: ended, resolve } = Promise.withResolvers<End>();
  // Its last words may come after its end.
  const silent = new Promise((quiet) => child.once('disconnect', quiet));
  child.on('exit', async (code, signal) => {
    clearTimeout(halting);
    endGuard();
    endGpu(); // it ends by itself as well, but not while it stands still
    await silent;
    onRuns([]);
    resolve({ finished, code: code ?? 1, signal });
  });
  child.on('error', () => resolve({ finished: false, code: 1 })); // it could not even be started
  return {
    go(duty, gpu_rests) {
      clearTimeout(halting);
      endGuard();
      if (canStop) all('SIGCONT');
      say({ go: duty, gpu_rests });
    },
    stop(why) {
      say({ halt: true, why });
      if (canStop) halting = setTimeout(standStill, LIMITS.notice_ms);
      else all('SIGKILL');
    },
    leave: () => say({ leave: 'now' }),
    freeGpu() {
      clearTimeout(halting);
      endGuard();
      if (canStop) all('SIGCONT');
      say({ leave: 'now' });
      halting = setTimeout(endGpu, LIMITS.free_gpu_ms);
    },
    leaveAfterWork: () => say({ leave: 'after-work' }),
    gpu: () => gpu,
    kill: () => all('SIGKILL'),
    ended,
  };
}

/** What the kept process tells its keeper. */
export interface TellKeeper {
  over(how: 'finished' | 'left'): void;
  runs(runs: readonly RunHere[]): void;
  work(work: WorkHere): void;
  gpuProcesses(pids: readonly number[]): void;
  /** A graphics processor has failed in the middle of the work: it is not to be tried again. */
  gpuFailed(why: string): void;
  readonly pauses: Pauses;
  /** Tells what this process took, from reading to reading. */
  onEnergy(hear: (energy: TookEnergy) => void): void;
  /** Why no graphics processor may be used now; null: one may. */
  gpuRests(): Promise<string | null>;
}

/** On the other side: does what the keeper says, and tells it what happens. */
export function obeyKeeper(throttle: Throttle, leave: (when: 'now' | 'after-work') => void): TellKeeper {
  let gpu_rests: string | null = null;
  const listeners = new Set<(pause: Pause | null) => void>();
  const begun = Promise.withResolvers<void>();
  let hearEnergy = (_: TookEnergy): void => {};
  const say = (words: FromKept): void => {
    if (process.connected) process.send!(words);
  };
  process.on('message', (message) => {
    const { data } = ToKeptSchema.safeParse(message);
    if (!data) return;
    if ('go' in data) {
      gpu_rests = data.gpu_rests;
      begun.resolve();
      throttle.go(data.go);
    }
    if ('halt' in data) throttle.halt();
    if ('halt' in data || 'go' in data) for (const hear of listeners) hear('halt' in data ? { why: data.why } : null);
    if ('leave' in data) leave(data.leave);
    if ('energy' in data) hearEnergy(data.energy);
  });
  process.channel?.unref(); // to listen alone keeps no process alive
  if (process.platform !== 'linux') {
    const tell = (): void => {
      const { user, system } = process.cpuUsage();
      say({ cpu_ms: (user + system) / 1000, rss_bytes: process.memoryUsage.rss() });
    };
    setInterval(tell, LIMITS.use_every_ms).unref();
  }
  return {
    over: (over) => say({ over }),
    runs: (runs) => say({ runs: [...runs] }),
    work: (work) => say({ work }),
    gpuProcesses: (pids) => say({ gpu_pids: [...pids] }),
    gpuFailed: (gpu_failed) => say({ gpu_failed }),
    pauses(hear) {
      listeners.add(hear);
      return () => void listeners.delete(hear);
    },
    onEnergy(hear) {
      hearEnergy = hear;
    },
    gpuRests: async () => {
      await begun.promise;
      return gpu_rests;
    },
  };
}
