// Other potluck processes that a command starts: each prints JSON lines, is restarted when it dies, and ends with its parent.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CHILD_MARK } from './lifetime.ts';

const POTLUCK = join(import.meta.dirname, '..', '..', 'bin', 'potluck.js');
const LIMITS = {
  restart_ms: 3000, // a killed device comes back after a moment, so that one sees that it was gone
  polite_ms: 8000, // what a worker gets to hand in its last work
} as const;

export interface ChildOptions {
  readonly args: readonly string[];
  /** Called with every JSON line. */
  readonly onLine: (line: Record<string, unknown>) => void;
  /** Called when the child ended unexpectedly; `lastWords` is the end of its stderr. */
  readonly onDeath: (lastWords: string) => void;
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
    child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', POTLUCK, ...options.args, '--json'], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, [CHILD_MARK]: '1' },
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
