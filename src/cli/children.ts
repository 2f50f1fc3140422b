// Other potluck processes that a command starts: each prints JSON lines, is restarted when it dies, and ends with its parent.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CHILD_MARK } from './lifetime.ts';

/** The command's own program. */
export const POTLUCK = join(import.meta.dirname, '..', '..', 'bin', 'potluck.js');
const LIMITS = {
  restart_ms: 3000, // a killed device comes back after a moment, so that one sees that it was gone
  polite_ms: 8000, // what a worker gets to hand in its last work
} as const;

/**
 * The most memory, in MiB, that a hub has for objects that were just made, twice. V8 goes up to 32, and saves no time by that (docs/experiments.md).
 * bin/potluck.js says the same to a hub that a person starts.
 */
export const HUB_FLAGS = ['--max-semi-space-size=8'];

export interface ChildOptions {
  readonly args: readonly string[];
  /** Called with every JSON line. */
  readonly onLine: (line: Record<string, unknown>) => void;
  /** Called when the child ended unexpectedly; `lastWords` is the end of its stderr. */
  readonly onDeath: (lastWords: string) => void;
  /** Set for it, beside what is set here. */
  readonly env?: NodeJS.ProcessEnv;
  /** How long to wait before it is restarted; undefined: LIMITS.restart_ms, null: never. */
  readonly restart_ms?: number | null;
}

export interface Child {
  readonly pid: () => number | undefined;
  /** Asks it to finish, and kills it if it does not. Resolves when the process has ended. */
  stop(): Promise<void>;
}

/** Starts `potluck ARGS --json` as its own process. */
export function startChild(options: ChildOptions): Child {
  let child: ChildProcess;
  let stopping = false;
  let restart: NodeJS.Timeout | undefined;

  const start = (): void => {
    // Its own process group: Ctrl-C in the terminal reaches only the parent, which ends its children in the right order.
    const flags = ['--disable-warning=ExperimentalWarning', ...(options.args[0] === 'hub' ? HUB_FLAGS : [])];
    child = spawn(process.execPath, [...flags, POTLUCK, ...options.args, '--json'], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ...options.env, [CHILD_MARK]: '1' },
      detached: process.platform !== 'win32',
    });
    child.on('error', (error) => options.onDeath(error.message)); // it could not even be started
    let lastWords = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      lastWords = (lastWords + chunk.toString()).slice(-2000);
    });
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const value = parseLine(line);
      if (!value) return;
      if (value.error) lastWords = (value.error as { message: string }).message;
      options.onLine(value);
    });
    child.on('exit', (code) => {
      if (stopping || code === 0) return; // it had finished
      options.onDeath(lastWords.trim());
      if (options.restart_ms === null) return;
      restart = setTimeout(start, options.restart_ms ?? LIMITS.restart_ms);
    });
  };
  start();
  return {
    pid: () => child.pid,
    stop() {
      stopping = true;
      clearTimeout(restart);
      if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
      return new Promise((resolve) => {
        const force = setTimeout(() => child.kill('SIGKILL'), LIMITS.polite_ms);
        child.once('exit', () => {
          clearTimeout(force);
          resolve();
        });
        child.kill('SIGTERM');
      });
    },
  };
}

function parseLine(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
