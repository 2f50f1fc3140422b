// A potluck command as a process whose peak of memory is known once it has ended.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CHILD_MARK } from '../cli/lifetime.ts';
import { GIVES_BACK } from '../serving/freed-memory.ts';
import { BenchError } from './errors.ts';

const POTLUCK = join(import.meta.dirname, '..', '..', 'bin', 'potluck.js');
/** Writes what a process has used into a file of its own, as it ends; threads of it and processes that it starts would say the same again. */
const USAGE_HOOK = `data:text/javascript,${encodeURIComponent(
  "import { writeFileSync } from 'node:fs'; import { isMainThread } from 'node:worker_threads'; const file = process.env.POTLUCK_BENCH_USAGE; delete process.env.POTLUCK_BENCH_USAGE; if (isMainThread && file) process.on('exit', () => writeFileSync(file, JSON.stringify(process.resourceUsage())));",
)}`;
/** What a device gets to hand in its last work. */
const POLITE_MS = 20_000;

type Line = Readonly<Record<string, unknown>>;

export interface Measured {
  readonly peak_bytes: number;
}

export interface MeasuredProcess {
  /** The first line, past or future, of this type. Rejects with BenchError `engine-failed` when the process ends without it. */
  line(type: string): Promise<Line>;
  /** All lines until now. */
  readonly lines: readonly Line[];
  /** Rejects as `ended` does for a process that ends by itself with an error; never resolves otherwise. */
  readonly failed: Promise<never>;
  /** Resolves when it has ended. Rejects with BenchError `engine-failed` for an exit code other than 0, unless it was stopped. */
  readonly ended: Promise<Measured>;
  stop(): Promise<Measured>;
}

/** Starts `potluck ARGS --json`. `folder` must be there, and be the process's own. */
export function startMeasured(
  args: readonly string[],
  folder: string,
  environment: Readonly<Record<string, string>> = {},
): MeasuredProcess {
  const usage = join(folder, 'usage.json');
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--import', USAGE_HOOK, POTLUCK, ...args, '--json'],
    {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // GIVES_BACK: as bin/potluck.js, which cannot start anew where it is forked.
      env: { ...process.env, ...GIVES_BACK, ...environment, POTLUCK_BENCH_USAGE: usage, [CHILD_MARK]: '1' },
    },
  );
  const lines: Line[] = [];
  let lastWords = '';
  let stopping = false;
  const waiting = new Set<() => void>();
  const over = Promise.withResolvers<Measured>();
  const failed = Promise.withResolvers<never>();
  for (const { promise } of [over, failed]) promise.catch(() => {}); // whoever awaits it hears
  let hasEnded = false;
  createInterface({ input: child.stdout! }).on('line', (text) => {
    lines.push(JSON.parse(text));
    for (const look of waiting) look();
  });
  child.stderr!.on('data', (chunk: Buffer) => {
    lastWords = (lastWords + chunk).slice(-2000);
  });
  child.on('error', (error) => over.reject(error));
  child.on('close', (code, signal) => {
    hasEnded = true;
    try {
      if (code !== 0 && !stopping) {
        const said = lines.at(-1)?.error ?? lastWords;
        throw new BenchError('engine-failed', `${args[0]} ended with ${code ?? signal}: ${JSON.stringify(said)}`);
      }
      over.resolve({ peak_bytes: 1024 * JSON.parse(readFileSync(usage, 'utf8')).maxRSS });
    } catch (error) {
      over.reject(error);
      failed.reject(error);
    }
    for (const look of waiting) look();
  });
  return {
    lines,
    failed: failed.promise,
    ended: over.promise,
    line: (type) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = lines.find((line) => line.type === type);
          if (!found && !hasEnded) return;
          waiting.delete(look);
          if (found) resolve(found);
          else reject(new BenchError('engine-failed', `${args[0]} ended without "${type}": ${lastWords}`));
        };
        waiting.add(look);
        look();
      }),
    stop() {
      stopping = true;
      const force = setTimeout(() => child.kill('SIGKILL'), POLITE_MS);
      child.kill('SIGTERM');
      return over.promise.finally(() => clearTimeout(force));
    },
  };
}
