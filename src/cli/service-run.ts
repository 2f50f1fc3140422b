// `potluck service run`: starts `potluck join` again when it fails, more and more slowly, and keeps its log, where the system does neither.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';
import { type Clock, systemClock } from '../protocol/clock.ts';
import { isRunning, writeWhole } from '../protocol/whole-file.ts';
import { untilStopped } from './lifetime.ts';
import { openServiceLog } from './service-log.ts';
import type { Standing } from './service-plan.ts';
import { readJson, readRecord } from './service-record.ts';

export const SUPERVISOR_LIMITS = {
  wait_ms: 10_000,
  longest_wait_ms: 600_000,
  well_ms: 600_000, // what has run so long has not failed from the start: the next wait is the first one again
} as const;
/** Wrong words on the command line stay wrong. */
const EXIT_USAGE = 2;

/** What the supervisor writes down, with its own process and the one that it has started. */
const StateSchema = z.object({
  supervisor_pid: z.int().min(1),
  pid: z.int().min(1).nullable(),
  since_ms: z.int(),
  last_exit: z.string().nullable(),
  restarts: z.int().min(0),
});

export const stateFile = (folder: string): string => join(folder, 'state.json');
export const logFile = (folder: string): string => join(folder, 'service.log');

/** How the service stands, as far as its supervisor lives. */
export function readState(folder: string): Standing {
  const state = StateSchema.safeParse(readJson(stateFile(folder))).data ?? null;
  const running = state !== null && isRunning(state.supervisor_pid);
  const { last_exit = null, restarts = 0 } = state ?? {};
  return {
    enabled: true,
    running,
    pid: state?.pid ?? null,
    since_ms: running ? state.since_ms : null,
    last_exit,
    restarts,
  };
}

export interface Supervised {
  readonly pid: number | null;
  /** How it ended: its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** Asks it to leave. */
  stop(): void;
}

/** Resolves with an exit code when what was started ends well, must not be started again, or has followed the signal. */
export async function supervise(options: {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  start(): Supervised;
  onStart(pid: number | null, restarts: number, last_exit: string | null): Promise<void>;
  say(line: string): void;
}): Promise<number> {
  const { clock, signal, say } = options;
  let wait_ms: number = SUPERVISOR_LIMITS.wait_ms;
  let last_exit: string | null = null;
  for (let restarts = 0; ; restarts++) {
    const begun_ms = clock.elapsed_ms();
    const { pid, ended, stop } = options.start();
    await options.onStart(pid, restarts, last_exit);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const how = await ended;
    signal.removeEventListener('abort', stop);
    if (signal.aborted || how === 0) return 0;
    if (how === EXIT_USAGE) return EXIT_USAGE;
    last_exit = typeof how === 'number' ? `exit code ${how}` : `signal ${how}`;
    if (clock.elapsed_ms() - begun_ms >= SUPERVISOR_LIMITS.well_ms) wait_ms = SUPERVISOR_LIMITS.wait_ms;
    say(`it has ended (${last_exit}) and begins again in ${wait_ms / 1000} s`);
    await pause(clock, wait_ms, signal);
    if (signal.aborted) return 0;
    wait_ms = Math.min(wait_ms * 2, SUPERVISOR_LIMITS.longest_wait_ms);
  }
}

function pause(clock: Clock, time_ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.setTimeout(end, time_ms);
    signal.addEventListener('abort', end);
  });
}

/** Runs what a record says. @returns an exit code. Throws CliError missing-file. */
export async function runService(record_file: string): Promise<number> {
  const { node, potluck, words, home, folder } = readRecord(record_file);
  const log = openServiceLog(logFile(folder));
  const start = (): Supervised => {
    const env = { ...process.env, POTLUCK_HOME: home };
    const child = spawn(node, [potluck, ...words], { env, stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true });
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', log.write);
    const { promise: ended, resolve } = Promise.withResolvers<number | string>();
    child.on('close', (code, signal) => resolve(code ?? signal ?? 1));
    child.on('error', ({ message }) => {
      log.write(`${message}\n`);
      resolve(1);
    });
    return { pid: child.pid ?? null, ended, stop: () => void child.kill('SIGTERM') };
  };
  const onStart = async (pid: number | null, restarts: number, last_exit: string | null): Promise<void> => {
    const state = { supervisor_pid: process.pid, pid, since_ms: Date.now(), last_exit, restarts };
    await writeWhole(stateFile(folder), `${JSON.stringify(state)}\n`);
  };
  return supervise({
    ...{ clock: systemClock, signal: untilStopped(), start, onStart },
    say: (line) => log.write(`potluck service: ${line}\n`),
  });
}
