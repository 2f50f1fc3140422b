// The process that a keeper keeps, and what the two say to each other. Signals stop it where the system has them; elsewhere it is ended.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';
import type { Kept } from '../peer/owner-policy/keeper.ts';
import type { OwnUse } from '../peer/owner-policy/own-use.ts';
import type { Throttle } from '../peer/policy.ts';
import { type RunHere, RunHereSchema } from './device-worker.ts';
import { CHILD_MARK, KEPT } from './lifetime.ts';

const POTLUCK = join(import.meta.dirname, '..', '..', 'bin', 'potluck.js');
const LIMITS = {
  notice_ms: 80, // what the process gets to note that it is stopped: time in which it stands still is no work
  use_every_ms: 500,
} as const;

const ToKeptSchema = z.union([
  z.object({ go: z.number().positive().max(1) }),
  z.object({ halt: z.literal(true) }),
  z.object({ leave: z.literal(true) }),
]);
type ToKept = z.infer<typeof ToKeptSchema>;

const FromKeptSchema = z.union([
  z.object({ over: z.enum(['finished', 'left']) }),
  z.object({ cpu_ms: z.number().min(0), rss_bytes: z.number().min(0) }),
  z.object({ runs: z.array(RunHereSchema) }),
]);
type FromKept = z.infer<typeof FromKeptSchema>;

/** What the processes that were started have told of themselves, with this one. */
export interface KeptUse extends OwnUse {
  pids(): number[];
}

/** Starts `potluck WORDS`, one process at a time. `output`: where what it says goes. `onRuns`: hears which runs it takes part in. */
export function keptProcesses(
  words: readonly string[],
  output: 'inherit' | 'ignore' = 'inherit',
  onRuns: (runs: RunHere[]) => void = () => {},
): { start(): Kept; readonly use: KeptUse } {
  let child: ChildProcess | null = null;
  let told = { cpu_ms: 0, rss_bytes: 0 };
  const use: KeptUse = {
    pids: () => (child?.pid === undefined ? [process.pid] : [process.pid, child.pid]),
    cpu_ms: () => {
      const { user, system } = process.cpuUsage();
      return told.cpu_ms + (user + system) / 1000;
    },
    rss_bytes: () => told.rss_bytes + process.memoryUsage.rss(),
  };
  process.on('exit', () => child?.kill('SIGKILL')); // one that stands still does not hear that it is alone
  const start = (): Kept => {
    told = { cpu_ms: 0, rss_bytes: 0 };
    child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', POTLUCK, ...words], {
      stdio: ['inherit', output, output, 'ipc'],
      env: { ...process.env, [CHILD_MARK]: KEPT },
    });
    const onUse = (now: typeof told): void => {
      told = now;
    };
    return keptBy(child, onUse, onRuns);
  };
  return { start, use };
}

function keptBy(
  child: ChildProcess,
  onUse: (use: { cpu_ms: number; rss_bytes: number }) => void,
  onRuns: (runs: RunHere[]) => void,
): Kept {
  let finished = false;
  let halting: NodeJS.Timeout | undefined;
  const canStop = process.platform !== 'win32';
  const say = (words: ToKept): void => {
    if (child.connected) child.send(words, () => {}); // one that is gone is heard of by its end
  };
  child.on('message', (message) => {
    const { data } = FromKeptSchema.safeParse(message);
    if (!data) return;
    if ('over' in data) finished = data.over === 'finished';
    else if ('runs' in data) onRuns(data.runs);
    else onUse(data);
  });
  const { promise: ended, resolve } = Promise.withResolvers<{ finished: boolean; code: number }>();
  // Its last words may come after its end.
  const silent = new Promise((quiet) => child.once('disconnect', quiet));
  child.on('exit', async (code) => {
    clearTimeout(halting);
    await silent;
    onRuns([]);
    resolve({ finished, code: code ?? 1 });
  });
  child.on('error', () => resolve({ finished: false, code: 1 })); // it could not even be started
  return {
    go(duty) {
      clearTimeout(halting);
      if (canStop) child.kill('SIGCONT');
      say({ go: duty });
    },
    stop() {
      say({ halt: true });
      if (canStop) halting = setTimeout(() => child.kill('SIGSTOP'), LIMITS.notice_ms);
      else child.kill('SIGKILL');
    },
    leave: () => say({ leave: true }),
    kill: () => void child.kill('SIGKILL'),
    ended,
  };
}

/** What the kept process tells its keeper. */
export interface TellKeeper {
  over(how: 'finished' | 'left'): void;
  runs(runs: readonly RunHere[]): void;
}

/** On the other side: does what the keeper says, and tells it what happens. */
export function obeyKeeper(throttle: Throttle, leave: () => void): TellKeeper {
  const say = (words: FromKept): void => {
    if (process.connected) process.send!(words);
  };
  process.on('message', (message) => {
    const { data } = ToKeptSchema.safeParse(message);
    if (!data) return;
    if ('go' in data) throttle.go(data.go);
    else if ('halt' in data) throttle.halt();
    else leave();
  });
  process.channel?.unref(); // to listen alone keeps no process alive
  if (process.platform !== 'linux') {
    const tell = (): void => {
      const { user, system } = process.cpuUsage();
      say({ cpu_ms: (user + system) / 1000, rss_bytes: process.memoryUsage.rss() });
    };
    setInterval(tell, LIMITS.use_every_ms).unref();
  }
  return { over: (over) => say({ over }), runs: (runs) => say({ runs: [...runs] }) };
}
